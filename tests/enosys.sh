#!/bin/sh
# dogwatch on Linux 4.19: under a filter that answers ENOSYS to every newer system call. Each command at work, by `make check`;
# with --all, as `make soak` does, the whole suite.
set -eu
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
mkdir -p "$target"
enosys=$target/enosys
${CC:-cc} -O1 -Wall -Werror -o "$enosys" tests/enosys.c
if [ "${1-}" = --all ]; then
    host=$(rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)
    export "CARGO_TARGET_${host}_RUNNER=$enosys"
    exec "${CARGO:-cargo}" test --locked
fi
out=$("$enosys" sh tests/smoke.sh "$target/release/dogwatch")
echo "enosys.sh: $out"
case $out in
    *'resolved by O_NOFOLLOW steps)') ;;
    *) echo "enosys.sh: openat2 was used all the same" >&2; exit 1 ;;
esac
