#!/bin/sh
# static.sh gnu|musl - the static binary (`make static`) with this C library: needs nothing else, and runs in an empty chroot. Run
# by `make check`; needs root.
set -eu
cd "$(dirname "$0")/.."
libc=$1
. tests/kit.sh
script="$script: $libc"
[ "$(id -u)" = 0 ] || skip "a chroot needs root"
std=
[ "$libc" = gnu ] || rust
make --no-print-directory static LIBC="$libc" CARGO="cargo $std"
dogwatch=$(realpath "${CARGO_TARGET_DIR:-target}/static/dogwatch-$libc")

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
trap 'exit 1' HUP INT TERM

# Whole programs have no interpreter, the dynamic linker's path.
! grep -qa '/ld-\(linux\|musl\)' "$dogwatch" || fail "it is not static"
cp "$dogwatch" "$root/dogwatch"
[ "$(chroot "$root" /dogwatch version)" = "$(sed -n 's/^version = "\(.*\)"/dogwatch \1/p' Cargo.toml | head -n 1)" ] ||
    fail "it does not run in an empty chroot"

# Workers are started by /proc/self/exe, commands have /dev/null.
mkdir -m 755 "$root/proc" "$root/dev" "$root/tmp"
unshare --mount --propagation private sh -euc '
    mount -t proc proc "$0/proc"
    mknod -m 666 "$0/dev/null" c 1 3
    exec sh tests/smoke.sh -r "$0" /dogwatch' "$root"
echo "static.sh: $libc: $(stat -c %s "$dogwatch") bytes"
