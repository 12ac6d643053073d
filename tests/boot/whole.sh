#!/bin/sh
# Each Debian system of tests/init whole, with its own init and nothing of this machine's, in QEMU: the static binary is installed
# by `dogwatch install`, works as a service, is stopped and uninstalled (tests/init/service.sh). BusyBox's is that of boot.sh.
# Run by `make boot`.
#
# whole.sh [INIT]...; SHOW=1 shows what the machine says.
set -eu
cd "$(dirname "$0")/../.."
. tests/kit.sh
[ "$(id -u)" = 0 ] || skip "it needs root"
command -v mmdebstrap >/dev/null || skip "mmdebstrap is missing (package mmdebstrap)"
inits=${*:-systemd sysvinit openrc runit s6}
trees=$(sh tests/init/trees.sh busybox $inits)
dogwatch=$(realpath "${CARGO_TARGET_DIR:-target}/static/dogwatch-gnu")
. tests/boot/machine.sh
cd tests/init

for init in $inits; do
    rm -rf "$work/over" "$work/rig"
    . ./lay.sh
    # What Debian's initramfs does before it hands over; and what is told outside of what the service has seen.
    cat >"$rig/begin" <<-I
	#!/rig/busybox sh
	/rig/busybox mount -t proc proc /proc
	/rig/busybox mount -t sysfs sys /sys
	/rig/busybox mount -t devtmpfs dev /dev
	/rig/busybox mount -t tmpfs -o mode=755 run /run
	exec $first
	I
    cat >>"$rig/run" <<-'I'
	exec >/dev/ttyS0 2>&1
	cat /rig/out
	[ $status = 0 ] || tail -n 40 /rig/dogwatch.log
	echo
	echo "@@END $status"
	I
    chmod 755 "$rig/begin"
    cp -a "$rig/." "$over/rig/"
    # A later part of an archive lies over an earlier one.
    { pack "$tree" && pack "$over"; } >"$work/initrd"
    machine '^@@END' 300 rdinit=/rig/begin -m 1024
    [ -z "${SHOW-}" ] || cat "$work/out"
    tr -d '\r' <"$work/out" | grep -aq '^@@END 0' || { cat "$work/out" "$work/err" >&2; fail "$init: not done"; }
    cut
    echo "whole.sh: $init: $(tr -d '\r' <"$work/out" | grep -a 'as process 1'), in $(($(date +%s) - begin)) s"
done
