"""A place of its own for each peer in each measure, and the processes that run there."""

import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

PROBE = b"probe"


class Place:
    """A directory that a peer watches, and beside it what the peer needs, and a log of what its action was told of."""

    def __init__(self, scratch):
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        self.tree = self.dir / "tree"
        self.tree.mkdir()
        self.log = self.dir / "told"
        self.log.touch()
        # What everybody calls: its argument goes into the log as it is.
        self.action = self.script("action", f"printf '%s\\0' \"$1\" >>'{self.log}'")

    def script(self, name, text):
        path = self.dir / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path


def stat(pid):
    """What proc(5) has of a process, from its state on; nothing if it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


class Running:
    """A program and all that it starts: they are a session of their own, by which they are found."""

    all = []
    over = False
    lock = threading.Lock()

    def __init__(self, argv, cwd, env=None, output=None):
        with Running.lock, open(output or os.devnull, "ab") as out:
            if Running.over:
                raise RuntimeError("it is over")
            self.process = subprocess.Popen(
                [os.fspath(word) for word in argv], cwd=cwd, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **(env or {})})
            self.pid = self.process.pid
            Running.all.append(self)

    @classmethod
    def end_all(cls):
        """Ends what runs, and lets nothing more begin."""
        with cls.lock:
            cls.over = True
        for running in list(cls.all):
            running.kill()

    def members(self):
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [pid for pid in pids if stat(pid)[3:4] == [b"%d" % self.pid]]

    def signal_all(self, number):
        for pid in self.members():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        """Ends all of it by -9, also what is started meanwhile."""
        while self.members():
            self.signal_all(signal.SIGKILL)
            # A zombie of ours is a member until it is waited for; those of others are init's.
            self.process.poll()
            if all(stat(pid)[:1] in ([], [b"Z"]) for pid in self.members()):
                break
            time.sleep(0.02)
        self.process.wait()
        if self in Running.all:
            Running.all.remove(self)

    def end(self, patience=10):
        """Ends it by SIGTERM to the first process, and what is left by -9."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def crashed(self):
        """What the first process has ended with by itself, in words."""
        status = self.process.poll()
        if status is None:
            return ""
        return f"; it had ended by {signal.Signals(-status).name}" if status < 0 else f"; it had ended with {status}"

    def pss(self, kind="Pss"):
        """The memory of all its processes in KiB, shared pages by their share; Pss_Anon is that which no file backs."""
        return sum(field(f"/proc/{pid}/smaps_rollup", f"{kind}:") for pid in self.members())

    def switches(self):
        """How often each of its threads has been scheduled."""
        return {(pid, task): sum(field(f"/proc/{pid}/task/{task}/status", f"{kind}_ctxt_switches:")
                                 for kind in ("voluntary", "nonvoluntary"))
                for pid in self.members() for task in os.listdir(f"/proc/{pid}/task")}


def field(path, name):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise ValueError(f"{path} has no {name}")


def quiet(value, still, deadline):
    """Waits until value() has not changed for so many seconds, or the deadline is over, and returns it."""
    end = time.monotonic() + deadline
    last, since = value(), time.monotonic()
    while time.monotonic() < min(since + still, end):
        time.sleep(0.2)
        now = value()
        if now != last:
            last, since = now, time.monotonic()
    return last


def comes_true(condition, deadline):
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
