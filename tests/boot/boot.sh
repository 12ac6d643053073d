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
PATH=$PATH:/usr/sbin:/sbin
for tool in qemu-system-x86_64 mkfs.ext4 apt-get; do
    command -v $tool >/dev/null || skip "$tool is missing (packages qemu-system-x86, e2fsprogs)"
done

work=$(mktemp -d)
pid=
cut() {
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :
    [ -z "$pid" ] || wait "$pid" 2>/dev/null || :
    pid=
}
clean_up() {
    status=$?
    trap - EXIT
    cut
    rm -rf "$work"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ ! -d "$cache/boot" ]; then
    image=$(apt-get update -q >/dev/null && apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p')
    packages boot "${image:-linux-image-cloud-amd64}" busybox-static
fi
busybox=$cache/boot/bin/busybox
kernel=$(ls "$cache"/boot/boot/vmlinuz-*)

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
(cd "$root" && find . | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$work/initrd"
truncate -s 128M "$work/disk"
mkfs.ext4 -q "$work/disk"

# boot PHASE CLOCK [SECONDS] - boots it with the hardware's clock at CLOCK (UTC), and waits until it is done; with SECONDS, its
# power is cut so long after it says that the time is right.
boot() {
    want='@@END 0'
    [ $# = 2 ] || want=@@CUT
    : >"$work/out"
    qemu-system-x86_64 -nodefaults -no-reboot -machine q35,accel=tcg -cpu max -m 256 -smp 1 -display none \
        -serial "file:$work/out" -rtc "base=$2" -kernel "$kernel" -initrd "$work/initrd" \
        -drive "file=$work/disk,format=raw,if=none,id=disk" -device nvme,drive=disk,serial=1 \
        -append "console=ttyS0 quiet loglevel=3 panic=-1 no_timer_check no_console_suspend phase=$1" </dev/null 2>"$work/err" &
    pid=$!
    begin=$(date +%s)
    # Init's last words, after which all is written: QEMU itself does not turn off any more once the machine has slept.
    until grep -q -e '^@@CUT' -e 'Requesting system poweroff' "$work/out"; do
        kill -0 "$pid" 2>/dev/null && [ $(($(date +%s) - begin)) -lt ${SECONDS_AT_MOST:-300} ] || break
        sleep 0.05
    done
    said=$(tr -d '\r' <"$work/out" | grep '^@@') || :
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
