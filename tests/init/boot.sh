#!/bin/sh
# boot.sh INIT TREES DOGWATCH - INIT as process 1 of new namespaces on this kernel, with TREES/INIT as its system, on which nothing
# is written (overlayfs), and service.sh as one of its services. Prints what that prints, and exits as it does. Needs root.
set -eu
init=$1 trees=$2 dogwatch=$3
cd "$(dirname "$0")"
work=$(mktemp -d)
group=dogwatch-$$
pid=
clean_up() {
    status=$?
    trap - EXIT
    # Process 1, the only child of unshare(1), takes all others with it, and then unshare ends.
    if [ -n "$pid" ]; then
        kill -KILL $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) 2>/dev/null || kill -KILL "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    fi
    [ "$init" != systemd ] || unshare --mount sh -c '
        mount -t cgroup2 none "$0/cgroup" && cd "$0/cgroup" || exit 0
        tries=100
        until find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || [ $tries = 0 ]; do
            tries=$((tries - 1))
            sleep 0.05
        done' "$work" "$group"
    rm -rf --one-file-system "$work"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mkdir -p "$work/cgroup" "$work/root"
. ./lay.sh

cat >"$work/enter" <<'I'
set -eu
cd "$WORK"
mount -t tmpfs none root
mkdir root/over root/work root/root
cp -a over/. root/over/
cd root
mount -t overlay none -o "lowerdir=$TREE,upperdir=over,workdir=work" root
cd root
mkdir -p proc sys dev run tmp srv old
mount -t proc proc proc
for dir in dev run tmp srv; do mount -t tmpfs -o mode=755 none $dir; done
chmod 1777 tmp
for node in null zero full random urandom tty; do : >dev/$node; mount --bind /dev/$node dev/$node; done
: >dev/console
ln -s /proc/self/fd dev/fd
mkdir dev/shm dev/pts
mount --bind "$WORK/rig" rig
if [ "$INIT" = systemd ]; then
    mount -t sysfs -o ro none sys
    mount -t cgroup2 none sys/fs/cgroup
fi
pivot_root . old
/rig/busybox umount -l /old
export container=rig PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec $FIRST </dev/null >/rig/console 2>&1
I
cat >"$work/outer" <<'I'
set -eu
if [ "$INIT" = systemd ]; then
    mount -t cgroup2 none "$WORK/cgroup"
    mkdir "$WORK/cgroup/$GROUP"
    echo $$ >"$WORK/cgroup/$GROUP/cgroup.procs"
fi
exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child sh "$WORK/enter"
I
TREE=$tree WORK=$work INIT=$init FIRST=$first GROUP=$group unshare --mount sh "$work/outer" 2>"$rig/errors" &
pid=$!

# Also a child that nobody has waited for has a process.
runs() { grep -q '^State:[[:space:]]*[^ZX]' "/proc/$pid/status" 2>/dev/null; }
# Two minutes are far more than any of them takes. A system that goes down has said before what is to be seen.
tries=1200
while [ ! -e "$rig/status" ] && runs && [ $tries -gt 0 ]; do
    tries=$((tries - 1))
    sleep 0.1
done
cat "$rig/out"
if [ ! -e "$rig/status" ]; then
    echo "$init has not come to the end; the last that it said:" >&2
    cat "$rig/errors" >&2
    tail -n 20 "$rig/console" >&2 || :
    [ ! -e "$rig/dogwatch.log" ] || tail -n 20 "$rig/dogwatch.log" >&2
    exit 1
fi
[ "$(cat "$rig/status")" = 0 ] || exit 1
if [ -e "$rig/goes-down" ]; then
    tries=200
    while runs && [ $tries -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.1
    done
    grep -q slow "$rig/seen" || { echo "$init went down before the task had ended" >&2; exit 1; }
    printf ', went down after it'
fi
