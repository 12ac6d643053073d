#!/bin/sh
# `make run` and `make test` where there is nothing but cargo's toolchain, a C linker and make: a small Debian in the user's cache,
# on which nothing is written (overlayfs). Tests that want more say so, and are skipped. Run by `make soak`; needs root and the
# package mmdebstrap.
#
# bare.sh [COMMAND] - another command instead.
set -eu
cd "$(dirname "$0")/.."
. tests/kit.sh
[ "$(id -u)" = 0 ] || fail "a chroot needs root"
if [ ! -d "$cache/bare" ]; then
    mkdir -p "$cache"
    new=$(mktemp -d "$cache/bare.XXXXXX")
    chmod 755 "$new"
    suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    mmdebstrap -q --variant=essential --include=gcc,libc6-dev,make,mount "$suite" "$new" >"$cache/bare.log" 2>&1 ||
        { cat "$cache/bare.log" >&2; rm -rf "$new"; fail "mmdebstrap has failed"; }
    mv -T "$new" "$cache/bare"
fi

# Not in /tmp, which may be an overlay itself.
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/root" "$work/work" "$work/over/root/dogwatch" "$work/over/root/.rustup" "$work/over/old"
tar -c --exclude ./target --exclude ./.git . | tar -x -C "$work/over/root/dogwatch"
cp -a "${CARGO_HOME:-$HOME/.cargo}" "$work/over/root/.cargo"
# Not a mere chroot: a process in one cannot make the user namespaces that tests want.
unshare --mount --pid --fork --propagation private sh -euc '
    cd "$0"
    mount -t overlay overlay -o "lowerdir=$1/bare,upperdir=over,workdir=work" root
    mount -t proc proc root/proc
    mount --rbind /sys root/sys
    mount --rbind /dev root/dev
    mount --bind "$2" root/root/.rustup
    mount -o remount,bind,ro root/root/.rustup
    cd root
    pivot_root . old
    umount -l old
    cd /root/dogwatch
    exec env -i HOME=/root PATH=/root/.cargo/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c "$3"' \
    "$work" "$cache" "${RUSTUP_HOME:-$HOME/.rustup}" "${1:-make run && make test}"
