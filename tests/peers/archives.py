"""Those that rotate and archive logs: killed at random moments, and while somebody appends lines."""

import collections
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from place import Running, comes_true
from tools import Debian, Peer

LOG_SIZE = 20 << 20
KILLS = 50
LINES = 50000


class Archiver(Peer):
    """A tool that makes compressed files of a log, whose path is `log` in a directory."""

    log = "app.log"

    def prepare(self, directory):
        pass

    def once(self, directory):
        """The command for one rotation."""
        raise NotImplementedError

    def texts(self, directory):
        """What can be read of all that is there under its final name, of damaged files as much as possible."""
        for path in sorted(directory.rglob("app*")):
            if path.is_file():
                yield self.unpacked(path) if ".gz" in path.name else path.read_bytes()

    def unpacked(self, path):
        return output(["gzip", "-dc"], path)


def output(argv, path):
    with open(path, "rb") as file:
        return subprocess.run(argv, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


class Collect(Archiver):
    name = "dogwatch"
    what = "`dogwatch collect --threshold 1`"
    log = "tmp/app.log"

    def __init__(self, program):
        super().__init__(program, ["--version"], "make build")

    def once(self, directory):
        return [self.program, "collect", "-b", directory, "--threshold", "1"]

    def texts(self, directory):
        for path in (directory / "tmp").glob("app*"):
            yield path.read_bytes()
        for path in directory.glob("files*.tar.gz"):
            yield output(["tar", "-xzO"], path)


class Tar(Archiver):
    name = "tar"
    what = "`tar -czf NAME-$(date).tar.gz --remove-files`"

    def __init__(self):
        super().__init__(shutil.which("tar"), ["--version"], "apt-get install tar")

    def once(self, directory):
        return [self.program, "-czf", directory / f"app-{time.time_ns()}.tar.gz", "-C", directory, "--remove-files", self.log]

    def unpacked(self, path):
        return output(["tar", "-xzO"], path)


class Logrotate(Debian, Archiver):
    name = "logrotate"

    def __init__(self, cache, option=""):
        super().__init__(cache, "usr/sbin/logrotate", ["--version"], "logrotate")
        self.option = option
        self.what = "logrotate, `compress` and `postrotate`" + (option and f", `{option}`")

    def prepare(self, directory):
        (directory / "logrotate.conf").write_text(f"""
"{directory}/{self.log}" {{
    rotate 10000
    compress
    {self.option}
    postrotate
        :
    endscript
}}
""")

    def once(self, directory):
        return [self.program, "-f", "-s", directory / "state", directory / "logrotate.conf"]


def everybody(dogwatch, cache):
    return [Collect(dogwatch), Logrotate(cache), Tar()]


def lines(count, first=0):
    """Like a log's: each is there once."""
    dice = random.Random(first)
    return [b"Nov 22 03:48:%02d host app[%d]: request %08d from 10.0.%d.%d: GET /a/%06x in %d ms\n" % (
        n // 1000 % 60, dice.randrange(300, 400), first + n, dice.randrange(256), dice.randrange(256), dice.randrange(1 << 24),
        dice.randrange(2000)) for n in range(count)]


def append(path, text):
    with open(path, "ab") as file:
        file.write(text)


def fresh(tool, scratch):
    directory = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    (directory / tool.log).parent.mkdir(exist_ok=True)
    tool.prepare(directory)
    return directory


def start(tool, directory, argv=None):
    return Running(argv or tool.once(directory), directory, tool.env(), directory / "output")


def kills(tool, scratch):
    """A log is rotated, and that is killed at a random moment; a line is logged, and the log is rotated again."""
    log, later = lines(LOG_SIZE // 80), lines(1000, first=10**7)
    text = b"".join(log)
    times = []
    for _ in range(3):
        directory = fresh(tool, scratch)
        append(directory / tool.log, text)
        begun = time.monotonic()
        start(tool, directory).process.wait()
        times.append(time.monotonic() - begun)
        shutil.rmtree(directory)
    seconds = statistics.median(times)
    dice = random.Random(1)
    damaged = stuck = lost = doubled = 0
    for _ in range(KILLS):
        directory = fresh(tool, scratch)
        append(directory / tool.log, text)
        running = start(tool, directory)
        time.sleep(dice.uniform(0, seconds))
        running.kill()
        archives = [path for path in directory.rglob("*.gz") if not path.name.startswith(".dogwatch-")]
        damaged += any(subprocess.run(["gzip", "-t", path], stderr=subprocess.DEVNULL).returncode for path in archives)
        append(directory / tool.log, b"".join(later))
        again = start(tool, directory)
        stuck += again.process.wait() != 0
        again.kill()
        found = collections.Counter(line for part in tool.texts(directory) for line in part.splitlines(True))
        lost += any(line not in found for line in log + later)
        doubled += any(found[line] > 1 for line in log + later)
        shutil.rmtree(directory)
    return [f"{seconds:.2f}", damaged, stuck, lost, doubled]


APPENDER = """
import sys, time
for line in open(sys.argv[2], "rb"):
    with open(sys.argv[1], "ab") as log:
        log.write(line)
    time.sleep(0.0001)
"""


def appended(tool, scratch):
    """Lines are appended, the log being opened and closed each time, while it is rotated again and again."""
    directory = fresh(tool, scratch)
    log = lines(LINES)
    source = directory / "source"
    source.write_bytes(b"".join(log))
    appender = Running([sys.executable, "-c", APPENDER, directory / tool.log, source], directory)
    while appender.process.poll() is None:
        running = start(tool, directory)
        # Not for ever, for the collector waits for a file, and there may be none any more.
        while not comes_true(lambda: running.process.poll() is not None, 5):
            if appender.process.poll() is not None:
                running.process.terminate()
        running.process.wait()
        running.kill()
    appender.kill()
    found = collections.Counter(line for part in tool.texts(directory) for line in part.splitlines(True))
    rotations = len(list(directory.glob("*.gz")))
    shutil.rmtree(directory)
    return [rotations, sum(line not in found for line in log), sum(found[line] > 1 for line in log)]


def tables(tools, scratch, say, table):
    rows = []
    for tool in tools:
        say(f"{tool.name}: {KILLS} kills")
        rows.append([tool.what, *kills(tool, scratch)])
    table([f"a log of {LOG_SIZE >> 20} MiB, {KILLS} kills by -9", "takes (s)", "damaged `.gz`", "second run fails",
           "lines lost", "lines doubled"], rows)
    rows = []
    for tool in tools:
        kinds = [tool]
        if isinstance(tool, Logrotate):
            kinds += [Logrotate(tool.root.parent, option) for option in ("copytruncate", "delaycompress")]
        for kind in kinds:
            say(f"{kind.what}: lines are appended")
            rows.append([kind.what, *appended(kind, scratch)])
    table([f"{LINES} lines, appended meanwhile", "archives", "lines lost", "lines doubled"], rows)
