# A machine of its own, to be sourced after kit.sh: a Debian kernel in QEMU, in software. $work is a scratch directory, which goes
# when the script ends, as the machine does.
PATH=$PATH:/usr/sbin:/sbin
for tool in qemu-system-x86_64 apt-get; do
    command -v $tool >/dev/null || skip "$tool is missing (package qemu-system-x86)"
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

# pack DIRECTORY - what is in it as a part of the machine's memory: all of it is root's.
pack() { (cd "$1" && find . | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null); }

# machine WORDS SECONDS APPEND [OPTION...] - boots $work/initrd, with APPEND for the kernel, and waits until it has said one of these
# words (a regular expression) in $work/out, has ended, or has taken too long. It goes on until it is cut off.
machine() {
    words=$1 append=$3
    begin=$(date +%s)
    last=$((begin + $2))
    shift 3
    : >"$work/out"
    qemu-system-x86_64 -nodefaults -no-reboot -machine q35,accel=tcg -cpu max -smp 1 -display none -serial "file:$work/out" \
        -kernel "$kernel" -initrd "$work/initrd" -append "console=ttyS0 quiet loglevel=3 panic=-1 $append" "$@" \
        </dev/null 2>"$work/err" &
    pid=$!
    until grep -aq -e "$words" "$work/out"; do
        kill -0 "$pid" 2>/dev/null && [ "$(date +%s)" -lt $last ] || break
        sleep 0.05
    done
}
