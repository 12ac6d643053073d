#!/bin/sh
# A machine of its own: a Debian kernel in QEMU, in software, with BusyBox as init, the static binary as its service, and a disk.
# Its clock is set and its zone changed while backups are due, it sleeps over one, its disk is full, and its power is cut while
# it makes a backup and while it collects: what guest.sh does, and looks at after each boot. Run by `make machines`.
#
# boot.sh [DOGWATCH]; SHOW=1 shows what the machine says.
set -eu
cd "$(dirname "$0")/../.."
. tests/kit.sh
dogwatch=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/static/dogwatch-gnu}")
. tests/boot/machine.sh
command -v mkfs.ext4 >/dev/null || skip "mkfs.ext4 is missing (package e2fsprogs)"

root=$work/root
mkdir -p "$root/bin" "$root/sbin" "$root/usr/bin" "$root/usr/sbin" "$root/etc/dogwatch" "$root/proc" "$root/sys" "$root/dev" \
    "$root/tmp" "$root/run" "$root/disk" "$root/rig/zones"
cp "$busybox" "$root/bin/busybox"
cp "$dogwatch" "$root/bin/dogwatch"
cp tests/smoke.sh tests/boot/guest.sh "$root/rig"
cp tests/boot/inittab "$root/etc"
cp tests/boot/dogwatch.conf "$root/etc/dogwatch"
cp -L /usr/share/zoneinfo/Asia/Kolkata "$root/rig/zones"
ln -s busybox "$root/bin/sh"
ln -s bin/busybox "$root/init"
pack "$root" >"$work/initrd"
truncate -s 128M "$work/disk"
mkfs.ext4 -q "$work/disk"

# boot PHASE CLOCK [SECONDS] - boots it with the hardware's clock at CLOCK (UTC), and waits until it is done; with SECONDS, its
# power is cut so long after it says that the time is right.
boot() {
    want='@@END 0'
    [ $# = 2 ] || want=@@CUT
    # After init's last words all is written. QEMU itself does not turn off any more once the machine has slept.
    machine '^@@CUT\|Requesting system poweroff' 300 "no_timer_check no_console_suspend phase=$1" -m 256 -rtc "base=$2" \
        -drive "file=$work/disk,format=raw,if=none,id=disk" -device nvme,drive=disk,serial=1
    said=$(tr -d '\r' <"$work/out" | grep -a '^@@') || :
    [ "$said" = "$want" ] || { cat "$work/out" "$work/err" >&2; fail "$1: not done"; }
    [ -z "${3-}" ] || sleep "$3"
    cut
    [ -z "${SHOW-}" ] || cat "$work/out"
    echo "boot.sh: $1, from $2${3+, cut}: good, in $(($(date +%s) - begin)) s"
}

boot clocks 2026-03-02T11:00:00
boot full 2026-03-05T11:00:00
boot cut-backup 2026-03-06T11:59:00 0
boot cut-backup 2026-03-07T11:59:00 1
boot cut-collect 2026-03-08T11:00:00 0
boot cut-collect 2026-03-09T11:00:00 0.5
boot cut-after 2026-03-09T16:30:00 7
boot end 2026-03-10T11:59:00
