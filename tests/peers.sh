#!/bin/sh
# peers.sh DOGWATCH - dogwatch beside tools that do its job, on this machine, in one run: prints two Markdown tables of what was
# measured. Nothing is installed: Debian's packages are unpacked, pyinotifyd is put in an environment of its own, and watchexec is
# compiled (that takes minutes, once), all in the user's cache. What cannot be had is left out, and the reason is printed.
set -eu
dogwatch=$(realpath "$1")
cd "$(dirname "$(realpath "$0")")"
. ./kit.sh
peers=$cache/peers
command -v python3 >/dev/null || skip "python3 is missing"
mkdir -p "$peers"

# What fails here is told by run.py, which finds it missing.
if command -v apt-get >/dev/null; then
    (packages peers/debian incron inotify-tools libinotifytools0 lsyncd lua5.3 liblua5.3-0 entr logrotate) || :
fi
if [ ! -x "$peers/pyinotifyd/bin/pyinotifyd" ]; then
    # Debian's own Python where there is one, for its packages are what the size is measured of.
    python=/usr/bin/python3
    [ -x "$python" ] || python=python3
    echo "$script: pyinotifyd, from PyPI, in $peers/pyinotifyd" >&2
    { "$python" -m venv --clear "$peers/pyinotifyd" && "$peers/pyinotifyd/bin/pip" install -q pyinotifyd; } >&2 || :
fi
if [ ! -x "$peers/watchexec/bin/watchexec" ] && command -v cargo >/dev/null; then
    echo "$script: compiling watchexec in $peers/watchexec" >&2
    CARGO_TARGET_DIR="$peers/watchexec/build" \
        nice -n 19 cargo install -q watchexec-cli --locked --root "$peers/watchexec" >&2 || :
    rm -rf "$peers/watchexec/build"
fi
exec python3 -B peers/run.py "$dogwatch" "$peers"
