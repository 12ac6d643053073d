#!/bin/sh
# Shows dogwatch at work on examples/demo.conf in a scratch directory: sh examples/demo.sh BINARY
set -eu
dogwatch=$(realpath "$1")
examples=$(dirname "$(realpath "$0")")
scratch=$(mktemp -d)
daemon=
clean_up() {
    status=$?
    trap - EXIT
    if [ -n "$daemon" ]; then kill "$daemon" 2>/dev/null || :; wait "$daemon" || :; fi
    rm -rf "$scratch"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '\n--> %s\n' "$*"; }
# Waits until the daemon's log has a line with these words, for ten seconds at the most.
await() {
    tries=100
    until grep -q "$1" "$scratch/log"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { echo "demo: the log never said \"$1\"" >&2; cat "$scratch/log" >&2; exit 1; }
        sleep 0.1
    done
    tail -n +"$((shown + 1))" "$scratch/log"
    shown=$(wc -l <"$scratch/log")
}
shown=0

mkdir "$scratch/src" "$scratch/spool"
export RUNTIME_DIRECTORY="$scratch/run" STATE_DIRECTORY="$scratch/state"
sed "s|/src_path|$scratch/src|; s|/dst_path|$scratch/dst|; s|/spool$|$scratch/spool|" "$examples/demo.conf" >"$scratch/dogwatch.conf"

say "dogwatch check: is the configuration right?"
"$dogwatch" check -c "$scratch/dogwatch.conf"

say "dogwatch run: a command when something changes, without any configuration"
"$dogwatch" run "$scratch/src" -- echo changed: {pathname} >"$scratch/changed" &
daemon=$!
tries=100
until grep . "$scratch/changed"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "demo: dogwatch run ran nothing" >&2; exit 1; }
    echo hello >"$scratch/src/note"
    sleep 0.1
done
kill "$daemon"
wait "$daemon"
daemon=

say "dogwatch daemon: starts, and watches $scratch/src"
: >"$scratch/log"
"$dogwatch" daemon -c "$scratch/dogwatch.conf" >>"$scratch/log" 2>&1 &
daemon=$!
await ': ready, '

say "A file is written: its command is due two seconds later"
echo hello >"$scratch/src/letter"
await 'letter: scheduled, due in 2s'

say "Another is written, and deleted before it is due: its command is cancelled"
echo draft >"$scratch/src/draft"
await 'draft: scheduled'
rm "$scratch/src/draft"
await 'draft: cancelled'

say "Directories and a file in them, all at once: nothing is missed"
mkdir -p "$scratch/src/a/b/c"
echo deep >"$scratch/src/a/b/c/deep"
await 'a/b/c.*: done'
await 'c/deep.*: scheduled'

say "A name that would harm a careless program"
echo hello >"$scratch/src/;touch pwned;\$(touch pwned)"
await 'pwned).*: scheduled'

say "Files are moved, copied and deleted by what they are called"
mkdir "$scratch/dst"
"$dogwatch" explain -c "$scratch/dogwatch.conf" IN_CLOSE_WRITE "$scratch/src/2026/report.to_move"
mkdir "$scratch/src/2026"
echo report >"$scratch/src/2026/report.to_move"
echo photo >"$scratch/src/photo.to_copy"
echo rubbish >"$scratch/src/rubbish.to_delete"
await 'report.to_move.*: done'
await 'photo.to_copy.*: done'
await 'rubbish.to_delete.*: done'
find "$scratch/src" "$scratch/dst" -type f -printf '    %M %s bytes %p\n' | sort

say "Three files are collected in an archive, which is handed on"
for name in one two three; do echo "$name" >"$scratch/spool/tmp/$name"; done
await 'shown.*: done'

say "Two seconds later: the commands for what has been left alone"
await 'letter: done'
await 'c/deep.*: done'
await 'pwned).*: done'

say "dogwatch reads its configuration again at SIGHUP: delays are an hour now"
sed -i 's/^delay = 2$/delay = 1h/' "$scratch/dogwatch.conf"
kill -HUP "$daemon"
await 'the new configuration is taken'
echo hello >"$scratch/src/patient"
await 'patient: scheduled, due in 1h'

say "dogwatch status: what is pending, what has happened"
"$dogwatch" status -c "$scratch/dogwatch.conf"

say "SIGTERM: the daemon ends, and saves what is not due"
kill "$daemon"
wait "$daemon"
daemon=
await 'ended'
cat "$scratch/state/pending"

say "dogwatch backup: what is there every night at half past two, and now"
mkdir -p "$scratch/home/notes"
echo 'milk, bread' >"$scratch/home/notes/today"
ln -s notes/today "$scratch/home/list"
backup() { (cd "$scratch" && "$dogwatch" backup "$@"); }
backup create 'home;02:30;home;keep=7'
backup list
backup run home
backup contents home
backup verify home

say "It is restored elsewhere, and compared with what was backed up"
mkdir "$scratch/restored"
backup restore home restored
diff -r "$scratch/home" "$scratch/restored/home"
echo 'home and restored/home are the same'
