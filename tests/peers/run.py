"""run.py DOGWATCH CACHE - measures, and prints two Markdown tables; called by ../peers.sh."""

import concurrent.futures
import os
import signal
import shutil
import sys
import tempfile
import time
import traceback

import archives
import tools
import watching
from place import Running
from size import Sizes


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def table(head, rows):
    for row in [head, ["---"] * len(head), *rows]:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def measured(measure, titles, peer, scratch):
    """The cells of a peer; a failure is told in them, and keeps nothing else from being measured."""
    try:
        cells = measure(peer, scratch)
    except (OSError, RuntimeError, ValueError) as error:
        say(f"{measure.__name__} of {peer.name}: {error}")
        cells = "failed"
    return cells if isinstance(cells, list) else [cells] * len(titles)


def watchers(peers, scratch):
    rows = []
    for titles, measure, together in watching.MEASURES:
        say(measure.__name__.replace("_", " "))
        pool = concurrent.futures.ThreadPoolExecutor(len(peers) if together else 1)
        columns = list(pool.map(lambda peer: measured(measure, titles, peer, scratch), peers))
        rows += [[title, *(column[n] for column in columns)] for n, title in enumerate(titles)]
    sizes = Sizes()
    rows.append(["what it needs beside a minimal Debian (KiB)", *(peer.size(sizes) or "-" for peer in peers)])
    table(["", *(peer.name for peer in peers)], rows)


def main():
    dogwatch, cache = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    start = time.monotonic()
    peers = tools.everybody(dogwatch, cache)
    others = archives.everybody(dogwatch, cache)
    for tool in peers + [other for other in others if other.name != "dogwatch"]:
        print(f"- {tool.name}: {tool.version or tool.missing}")
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as queue:
        print(f"- Linux {os.uname().release}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, "
              f"max_queued_events {queue.read().strip()}\n", flush=True)
    # Not where others may write, or dogwatch would refuse its configuration, and logrotate its logs.
    scratch = tempfile.mkdtemp(prefix="peers.")
    status = 1
    try:
        watchers([peer for peer in peers if not peer.missing], scratch)
        archives.tables([other for other in others if not other.missing], scratch, say, table)
        say(f"{time.monotonic() - start:.0f} s")
        status = 0
    except SystemExit as end:
        status = end.code
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        traceback.print_exc()
    finally:
        Running.end_all()
        shutil.rmtree(scratch, ignore_errors=True)
        # Measures that still wait for something are not waited for.
        sys.stdout.flush()
        os._exit(status)


main()
