#!/bin/sh
# smoke.sh [-r ROOT] DOGWATCH - each command of this binary does its work once, in a scratch directory. With -r it does so in a
# chroot, where DOGWATCH is its path; nothing else is needed there but /proc and /dev/null. What the script itself needs,
# BusyBox has. Run by tests/static.sh, tests/enosys.sh and, on a machine of its own, tests/boot/boot.sh.
set -eu
root=
if [ "$1" = -r ]; then
    root=$2
    shift 2
fi
dogwatch=$1
scratch=$(mktemp -d "$root/tmp/smoke.XXXXXX")
# The same directory, as dogwatch sees it.
at=${scratch#"$root"}
pid=
clean_up() {
    status=$?
    trap - EXIT
    if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || :; wait "$pid" || :; fi
    [ ! -e "$scratch/b/backup_schedules.txt" ] || dogwatch backup -C "$at/b" stop >/dev/null 2>&1 || :
    rm -rf "$scratch"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
fail() {
    echo "smoke.sh: $*" >&2
    tail -n 20 "$scratch/log" >&2
    exit 1
}
export RUNTIME_DIRECTORY="$at/run" STATE_DIRECTORY="$at/state" TZ=UTC0
unset JOURNAL_STREAM NOTIFY_SOCKET || :
dogwatch() { ${root:+chroot "$root"} "$dogwatch" "$@"; }
# Starts it in the background: the process itself, so that $! is its pid.
begin() {
    if [ -n "$root" ]; then chroot "$root" "$dogwatch" "$@" & else "$dogwatch" "$@" & fi
    pid=$!
}
# It ends by itself, or when it is told to.
ended() { wait "$pid" || fail "$1 has ended with $?"; pid=; }
end() { kill "$pid"; ended "$1"; }
# Waits for a condition, for a minute at the most: machines that are emulated are slow.
await() {
    tries=600
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "never: $*"
        sleep 0.1
    done
}
says() { grep -q -e "$2" "$scratch/$1" || fail "$1 does not say $2"; }
same() { cmp -s "$scratch/$1" "$scratch/$2"; }

cd "$scratch"
mkdir src dst run state c c/tmp b b/data restored
: >log
# More than one buffer of anything, and more than a hole.
seq 40000 >big
cp big b/data/big
ln -s big b/data/link

dogwatch version | grep -q '^dogwatch [0-9]' || fail "version"
dogwatch list-events >events.list
says events.list IN_CLOSE_WRITE

cat >conf <<EOF
[daemon]
log = stderr debug
[rule move]
action = move
src_re = ^$at/src/(.*)\.move$
dst_re = $at/dst/in/\1
auto_create = yes
[rule copy]
action = copy
src_re = ^$at/src/(.*)\.copy$
dst_re = $at/dst/in/\1
auto_create = yes
filemode = 0600
[rule delete]
action = delete
src_re = ^$at/src/.*\.delete$
[scheduler files]
rules = move, copy, delete
[scheduler new]
exec = $dogwatch version
files = no
dirs = yes
[scheduler pack]
archive = $at/dst/{name}.tar.gz
files = no
dirs = yes
[collector c]
base_dir = $at/c
threshold = 3
[event_map all]
IN_CLOSE_WRITE = files
IN_CREATE = new
IN_MOVED_TO = pack
[watch src]
path = $at/src
event_map = all
rec = yes
auto_add = yes
EOF
dogwatch check -c "$at/conf" >out 2>>log || fail "check"
dogwatch explain -c "$at/conf" IN_CLOSE_WRITE "$at/src/a.move" >out
says out "dst/in/a"

begin daemon -c "$at/conf" 2>>log
await grep -q ' ready, ' log
cp big src/moved.move
cp big src/copied.copy
cp big src/deleted.delete
await same big dst/in/moved
await same big dst/in/copied
await [ ! -e src/moved.move ]
await [ ! -e src/deleted.delete ]
same big src/copied.copy || fail "the copy's source is not as it was"
mkdir src/new
await grep -q 'dogwatch [0-9]' log
cp -r b/data src/new/packed.new
mv src/new/packed.new src/packed
await [ -s dst/packed.tar.gz ]
tar -xzOf dst/packed.tar.gz packed/big | cmp -s - big || fail "the archive is not what was packed"
for name in one two three; do cp big c/tmp/$name; done
await [ -s c/files.tar.gz ]
await [ ! -e c/tmp/three ]
tar -xzOf c/files.tar.gz two | cmp -s - big || fail "the collector's archive is not what was there"
dogwatch status -c "$at/conf" >out
says out '^pid: '
kill -HUP "$pid"
await grep -q 'the new configuration is taken' log
end daemon
rm -r c/files.tar.gz

begin events -n 1 -e close_write "$at/src" >out 2>>log
until [ -s out ]; do
    echo text >src/event
    sleep 0.1
done
ended events
says out "^IN_CLOSE_WRITE $at/src/event\$"

begin run -1 "$at/src" -- "$dogwatch" version >out 2>>log
until [ -s out ]; do
    echo text >src/event
    sleep 0.1
done
ended run
says out '^dogwatch [0-9]'

begin collect --base-dir "$at/c" --threshold 2 >out 2>>log
cp big c/tmp/one
cp big c/tmp/two
ended collect
says out '^files collected$'
tar -xzOf c/files.tar.gz one | cmp -s - big || fail "what was collected is not what was there"

dogwatch backup -C "$at/b" create 'data;12:00;daily'
dogwatch backup -C "$at/b" list >out
says out '^0: data;12:00;daily$'
dogwatch backup -C "$at/b" run daily 2>>log || fail "backup run"
dogwatch backup -C "$at/b" verify daily >out 2>>log || fail "backup verify"
dogwatch backup -C "$at/b" restore daily "$at/restored" >out 2>>log || fail "backup restore"
same big restored/data/big || fail "what was restored is not what was there"
[ "$(readlink restored/data/link)" = big ] || fail "the link was not restored"
dogwatch backup -C "$at/b" start 2>>log || fail "backup start"
dogwatch backup -C "$at/b" status >out 2>>log || [ $? = 3 ] || fail "backup status"
says out daily
dogwatch backup -C "$at/b" next -n 1 >out
says out ' 12:00'
dogwatch backup -C "$at/b" stop 2>>log || fail "backup stop"
says b/logs/backup_service.log 'Backup done for data in backups/daily.tar'
resolver=$(sed -n 's/.* are resolved by //p' log | head -n 1)
echo "smoke.sh: every command works (paths below a root are resolved by $resolver)"
