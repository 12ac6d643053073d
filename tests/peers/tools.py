"""The peers, each configured as its documentation says for this job: run an action for each file below a directory that was
written or has come there by a rename, with directories below it, those that appear as well."""

import json
import os
import pathlib
import shutil
import subprocess

from place import PROBE, Running


class Peer:
    # Whether it can wait until a file has been left alone.
    delays = False
    # Whether it tells of single files that need not have been there at the start.
    tells = True
    # Options of argv with which it sees new directories best.
    new = {}
    # Debian's packages that a user installs for it.
    packages = ()

    def __init__(self, program, version, how):
        """Its program; the arguments that have it tell its version; and how it is to be had."""
        self.program = pathlib.Path(program) if program else None
        self.version = self.missing = None
        if not self.program or not self.program.exists():
            self.missing = f"not there: {how}"
            return
        done = subprocess.run([self.program, *version], env={**os.environ, **self.env()}, capture_output=True, text=True)
        lines = [line for line in (done.stdout + done.stderr).splitlines() if any(c.isdigit() for c in line)]
        if lines:
            self.version = lines[0].strip()
        else:
            self.missing = f"does not run: {(done.stderr or done.stdout).strip()[-200:]}"

    def env(self):
        return {}

    def argv(self, place, delay, **options):
        raise NotImplementedError

    def start(self, place, delay=0, **options):
        """Begins to watch; with a delay in seconds, a file is acted on when it has been left alone for that long."""
        return Running(self.argv(place, delay, **options), place.dir, self.env(), place.dir / "output")

    def told(self, place):
        """The paths that the action was told of, each as often as it was."""
        paths = place.log.read_bytes().split(b"\0")[:-1]
        return [path for path in paths if os.path.basename(path) != PROBE]

    def runs(self, place):
        """How often the action was run."""
        return len(self.told(place))

    def forget(self, place):
        os.truncate(place.log, 0)

    def size(self, sizes):
        """KiB on a minimal Debian."""
        return sizes.packages(self.packages)


class Dogwatch(Peer):
    name = "dogwatch"
    delays = True

    def __init__(self, program):
        super().__init__(program, ["--version"], "make build")

    def argv(self, place, delay, existing=False):
        settle = "IN_MODIFY, IN_DELETE, IN_MOVED_FROM = cancel told" if delay else ""
        conf = place.write("dogwatch.conf", f"""
[daemon]
run_dir = {place.dir}/run
state_dir = {place.dir}/state

[scheduler told]
exec = {place.action} {{pathname}}
delay = {delay}

[event_map map]
IN_CLOSE_WRITE, IN_MOVED_TO = told
{settle}

[watch tree]
path = {place.tree}
event_map = map
rec = yes
auto_add = yes
existing = {'yes' if existing else 'no'}
""")
        return [self.program, "daemon", "-c", conf, "--pid-file", place.dir / "pid"]

    def size(self, sizes):
        return sizes.files(self.program)


class Debian(Peer):
    """A peer of a package that is unpacked, not installed."""

    def __init__(self, cache, path, version, package):
        self.root = pathlib.Path(cache) / "debian"
        self.packages = (package,)
        super().__init__(self.root / path, version, f"apt-get install {package}")

    def env(self):
        return {"LD_LIBRARY_PATH": ":".join(map(str, (self.root / "usr/lib").glob("*-linux-gnu*")))}


class Incron(Debian):
    name = "incron"
    # It looks for new directories when the table asks for IN_CREATE, which is an event of files too.
    new = {"create": True}

    def __init__(self, cache):
        super().__init__(cache, "usr/sbin/incrond", ["--version"], "incron")
        if os.geteuid() and not self.missing:
            self.missing = "incrond runs as root only"

    def argv(self, place, delay, create=False):
        mask = "IN_CREATE,IN_CLOSE_WRITE,IN_MOVED_TO" if create else "IN_CLOSE_WRITE,IN_MOVED_TO"
        for name in ("system", "user", "lock"):
            (place.dir / name).mkdir(exist_ok=True)
        place.write("system/table", f"{place.tree} {mask} {place.action} $@/$#\n")
        conf = place.write("incron.conf", f"""
system_table_dir = {place.dir}/system
user_table_dir = {place.dir}/user
allowed_users = {place.dir}/allow
denied_users = {place.dir}/deny
lockfile_dir = {place.dir}/lock
lockfile_name = incrond
""")
        return [self.program, "-n", "-f", conf]


class Inotifywait(Debian):
    name = "inotifywait"

    def __init__(self, cache):
        super().__init__(cache, "usr/bin/inotifywait", ["--help"], "inotify-tools")
        if not self.missing and not shutil.which("bash"):
            self.missing = "its loop needs bash"

    def argv(self, place, delay):
        # Example 4 of its man page.
        loop = place.script("loop", f"""
'{self.program}' -qmr -e 'close_write,moved_to' --format '%w%f%0' --no-newline '{place.tree}' |
    while IFS= read -r -d '' file
    do
        '{place.action}' "$file"
    done
""")
        return ["bash", loop]


class Pyinotifyd(Peer):
    name = "pyinotifyd"
    delays = True
    packages = ("python3",)

    def __init__(self, cache):
        self.home = pathlib.Path(cache) / "pyinotifyd"
        super().__init__(self.home / "bin/pyinotifyd", ["-v"], "pip install pyinotifyd")

    def argv(self, place, delay):
        # The third example of its documentation.
        settle = '''"IN_CREATE": told, "IN_MODIFY": Cancel(told), "IN_DELETE": Cancel(told), "IN_DELETE_SELF": Cancel(told),
        "IN_MOVED_FROM": Cancel(told), "IN_UNMOUNT": Cancel(told)''' if delay else ""
        config = place.write("config.py", f"""
told = ShellScheduler(cmd="{place.action} {{pathname}}", delay={delay})
pyinotifyd = Pyinotifyd()
pyinotifyd.add_watch(
    path="{place.tree}",
    event_map={{"IN_CLOSE_WRITE": told, "IN_MOVED_TO": told,
        {settle}}},
    rec=True,
    auto_add=True)
""")
        return [self.program, "-c", config]

    def size(self, sizes):
        own = [path for pattern in ("pyinotify*", "__pycache__/pyinotify*")
               for path in (self.home / "lib").glob(f"python*/site-packages/{pattern}")]
        python = sizes.packages(self.packages)
        return python and python + sizes.files(*own)


class Watchexec(Peer):
    name = "watchexec"
    delays = True

    def __init__(self, cache):
        super().__init__(pathlib.Path(cache) / "watchexec/bin/watchexec", ["--version"],
                         "cargo install watchexec-cli --locked")

    def argv(self, place, delay):
        # It runs a command for all that has happened since the last run; a byte that JSON has not tells runs apart.
        batch = place.script("batch", f"cat >>'{place.log}'; printf '\\036' >>'{place.log}'")
        wait = ["--debounce", f"{delay}s"] if delay else []
        return [self.program, "--watch", place.tree, "--emit-events-to=json-stdio", "--on-busy-update=queue", *wait,
                "--shell=none", "--", batch]

    def batches(self, place):
        return place.log.read_bytes().split(b"\x1e")[:-1]

    def told(self, place):
        told = []
        for batch in self.batches(place):
            paths = {tag["absolute"].encode(errors="surrogateescape") for line in batch.splitlines() if line
                     for tag in json.loads(line).get("tags", []) if tag.get("kind") == "path"}
            told += [path for path in paths if os.path.basename(path) != PROBE and not os.path.isdir(path)]
        return told

    def runs(self, place):
        return len(self.batches(place))

    def size(self, sizes):
        return sizes.files(self.program)


class Lsyncd(Debian):
    """It mirrors a directory: its action is rsync, and it has told of what is in the mirror."""

    name = "lsyncd"
    delays = True

    def __init__(self, cache):
        super().__init__(cache, "usr/bin/lsyncd", ["-version"], "lsyncd")
        if not self.missing and not shutil.which("rsync"):
            self.missing = "not there: apt-get install rsync, which it needs"

    def argv(self, place, delay):
        mirror = place.dir / "mirror"
        mirror.mkdir(exist_ok=True)
        rsync = place.script("rsync", f"printf 'run\\0' >>'{place.log}'\nexec {shutil.which('rsync')} \"$@\"")
        conf = place.write("lsyncd.lua", f"""
settings {{ nodaemon = true }}
sync {{ default.rsync, source = "{place.tree}", target = "{mirror}", delay = {delay or 1}, rsync = {{ binary = "{rsync}" }} }}
""")
        return [self.program, conf]

    def told(self, place):
        mirror, tree = os.fsencode(place.dir / "mirror"), os.fsencode(place.tree)
        return [os.path.join(tree, os.path.relpath(os.path.join(where, name), mirror))
                for where, _, names in os.walk(mirror) for name in names if name != PROBE]

    def runs(self, place):
        return place.log.read_bytes().count(b"\0")


class Entr(Debian):
    """It runs one command for files that it is given; new files end it, and its loop begins anew."""

    name = "entr"
    tells = False

    def __init__(self, cache):
        super().__init__(cache, "usr/bin/entr", [], "entr")

    def argv(self, place, delay):
        loop = place.script("loop", f"while sleep 0.1; do find '{place.tree}' -type f | "
                                    f"'{self.program}' -n -d '{place.action}' /_; done")
        return ["sh", loop]


def everybody(dogwatch, cache):
    return [Dogwatch(dogwatch), Incron(cache), Inotifywait(cache), Pyinotifyd(cache), Watchexec(cache), Lsyncd(cache),
            Entr(cache)]
