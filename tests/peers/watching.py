"""What is measured of those that watch. Each measure is given a peer and the scratch directory, and returns what stands in the
peer's column: for one row, or for several."""

import collections
import os
import signal
import time

from place import PROBE, Place, comes_true, quiet

IDLE_SECONDS = 20
DIRECTORIES = 1000
TREES = 1000
FLOOD = 20000
SETTLE = 1
PENDING = 2
NONE = "-"


def begin(peer, place, delay=0, **options):
    """Starts a peer, and waits until it is seen to work."""
    probe = os.path.join(os.fsencode(place.tree), PROBE)
    running = peer.start(place, delay, **options)

    def works():
        with open(probe, "ab") as file:
            file.write(b"x")
        return comes_true(lambda: acted(peer, place), delay + 2)
    if not comes_true(works, 20):
        running.kill()
        raise RuntimeError(f"{peer.name} does nothing: {(place.dir / 'output').read_text(errors='replace')[-500:]}")
    quiet(lambda: peer.runs(place), delay + 1.5, 10)
    peer.forget(place)
    return running


def acted(peer, place):
    """Whether the action has run, for the probe too."""
    return place.log.stat().st_size > 0


def write(path, content=b"x\n"):
    with open(path, "wb") as file:
        file.write(content)


def idle(peer, scratch):
    place = Place(scratch)
    for n in range(DIRECTORIES - 1):
        directory = place.tree / f"d{n % 40}" / f"d{n // 40}" if n >= 40 else place.tree / f"d{n}"
        directory.mkdir()
        # entr watches files.
        write(directory / "file")
    running = begin(peer, place)
    # Threads that have nothing to do any more may end after a while.
    time.sleep(15)
    before = running.switches()
    time.sleep(IDLE_SECONDS)
    after = running.switches()
    woken = sum(count - before.get(thread, 0) for thread, count in after.items()) + len(before.keys() - after.keys())
    result = [running.pss(), running.pss("Pss_Anon"), len(after), woken]
    running.end()
    return result


def new_directories(peer, scratch):
    if not peer.tells:
        return NONE
    place = Place(scratch)
    # Who can wait, does so: what is seen as created only is acted on then.
    running = begin(peer, place, SETTLE if peer.delays else 0, **peer.new)
    made = set()
    for n in range(TREES):
        directory = os.path.join(os.fsencode(place.tree), b"%d" % n, b"a", b"b", b"c")
        os.makedirs(directory)
        write(os.path.join(directory, b"f"))
        made.add(os.path.join(directory, b"f"))
    quiet(lambda: len(peer.told(place)), 5, 120)
    told, crashed = collections.Counter(peer.told(place)), running.crashed()
    running.end()
    missed = sum(path not in told for path in made)
    twice = sum(told[path] > 1 for path in made)
    return f"{len(made) - missed}" + (f", {twice} of them twice" if twice else "") + crashed


def pieces(peer, scratch, reopen):
    """Runs for a file that is written in ten pieces within a second."""
    place = Place(scratch)
    path = place.tree / "pieces"
    write(path, b"")
    running = begin(peer, place, SETTLE if peer.delays else 0)
    if reopen:
        for _ in range(10):
            with open(path, "ab") as file:
                file.write(b"piece\n")
            time.sleep(0.1)
    else:
        with open(path, "ab", buffering=0) as file:
            for _ in range(10):
                file.write(b"piece\n")
                time.sleep(0.1)
    runs = quiet(lambda: peer.runs(place), SETTLE + 3, 15)
    running.end()
    return runs


def written_in_pieces(peer, scratch):
    return [pieces(peer, scratch, reopen=False), pieces(peer, scratch, reopen=True)]


def hostile_names(peer, scratch):
    """Right names of all, and what was executed. What the names would run makes a file by a path that is written without a
    slash, which no name has, and without a blank, which some escape and nothing else."""
    if not peer.tells:
        return [NONE, NONE]
    place = Place(scratch)

    def mark(n):
        return b"touch${IFS}" + os.fsencode(place.dir / f"owned{n}").replace(b"/", b"${PWD%${PWD#?}}")
    names = [b"$(" + mark(1) + b")", b"a;" + mark(2) + b";", b"`" + mark(3) + b"`", b"x y", b"two\nlines", b"it's", b'say "x"',
             b"not UTF-8: \xff"]
    running = begin(peer, place)
    for name in names:
        write(os.path.join(os.fsencode(place.tree), name))
        time.sleep(0.3)
    quiet(lambda: len(peer.told(place)), 3, 20)
    told = {os.path.basename(path) for path in peer.told(place) if os.path.dirname(path) == os.fsencode(place.tree)}
    running.end()
    executed = [names[n - 1][:1] for n in (1, 2, 3) if (place.dir / f"owned{n}").exists()]
    right = sum(name in told for name in names)
    return [f"{right} of {len(names)}", "yes: " + ", ".join({b"$": "$()", b"a": ";", b"`": "``"}[e] for e in executed) if executed
            else "no"]


def renamed_directory(peer, scratch):
    if not peer.tells:
        return NONE
    place = Place(scratch)
    (place.tree / "old" / "below").mkdir(parents=True)
    running = begin(peer, place)
    os.rename(place.tree / "old", place.tree / "new")
    # incron begins anew then, and sleeps for a second.
    time.sleep(2)
    files = [place.tree / "new" / "f", place.tree / "new" / "below" / "g"]
    for path in files:
        write(path)
    quiet(lambda: len(peer.told(place)), 3, 20)
    told, crashed = peer.told(place), running.crashed()
    running.end()
    right = sum(os.fsencode(path) in told for path in files)
    wrong = sum(path.startswith(os.fsencode(place.tree / "old") + b"/") for path in told)
    return f"{right} of 2" + (f", {wrong} by the old path" if wrong else "") + crashed


def overflow(peer, scratch):
    if not peer.tells:
        return NONE
    place = Place(scratch)
    directory = place.tree / "flood"
    directory.mkdir()
    running = begin(peer, place)
    running.signal_all(signal.SIGSTOP)
    for n in range(FLOOD):
        write(directory / str(n))
    running.signal_all(signal.SIGCONT)
    quiet(lambda: len(set(peer.told(place))), 10, 300)
    flood = os.fsencode(directory) + b"/"
    told, crashed = {path for path in peer.told(place) if path.startswith(flood)}, running.crashed()
    running.end()
    return f"{len(told)}" + crashed


def pending(peer, scratch, kill, **options):
    """Whether what waited for its time is done after the next start."""
    place = Place(scratch)
    running = begin(peer, place, PENDING, **options)
    write(place.tree / "pending")
    time.sleep(0.5)
    if kill:
        running.kill()
    else:
        running.end(40)
    again = peer.start(place, PENDING, **options)
    quiet(lambda: peer.runs(place), PENDING + 3, 15)
    told = peer.told(place)
    ran = peer.runs(place)
    again.end()
    if os.fsencode(place.tree / "pending") in told:
        return "yes"
    return "the command is run, but not told of the file" if ran else "no"


def killed(peer, scratch):
    if not (peer.delays and peer.tells):
        return [NONE, NONE]
    lost = pending(peer, scratch, kill=True)
    if peer.name == "dogwatch":
        lost += f"; with `existing = yes`: {pending(peer, scratch, kill=True, existing=True)}"
    return [lost, pending(peer, scratch, kill=False)]


# Title or titles of the rows, the measure, and whether it may be done for all peers at the same time.
MEASURES = [
    ([f"memory, {DIRECTORIES} directories watched (PSS, KiB)", "of it, backed by no file", "threads",
      f"wake-ups in {IDLE_SECONDS} s when nothing happens"], idle, True),
    ([f"`mkdir -p a/b/c && echo x > a/b/c/f`, {TREES} times: files told of"], new_directories, False),
    (["a file written in ten pieces within a second, open meanwhile: runs", "the same, opened for each piece"],
     written_in_pieces, True),
    (["hostile names: told as they are", "something in a name was executed"], hostile_names, True),
    (["a directory is renamed, two files are written below: told by their paths"], renamed_directory, True),
    ([f"overflow: of {FLOOD} files made while it was stopped, told of"], overflow, True),
    ([f"killed by -9 while a file waits for {PENDING} s, started again: done", "the same, ended by SIGTERM"], killed, True),
]
