# service.sh INIT - within a system that INIT has started, by boot.sh: dogwatch is installed, works as a service, is stopped, and
# is uninstalled. /rig is shared with the outside. BusyBox's shell understands it.
set -eu
init=$1
fail() {
    echo "FAILED: $*"
    tail -n 20 /rig/dogwatch.log || :
    exit 1
}
say() { printf '%s, ' "$*"; }
# Waits for a condition, for half a minute at the most.
await() {
    tries=600
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "never: $*"
        sleep 0.05
    done
}
contains() { grep -q -- "$2" "$1"; }
# The processes of dogwatch, and the command that would not end.
processes() {
    for dir in /proc/[0-9]*; do
        case "$(readlink "$dir/exe") $(tr '\0' ' ' 2>/dev/null <"$dir/cmdline")" in
            /usr/bin/dogwatch\ * | *sleep\ 86399*) echo "${dir#/proc/}" ;;
        esac
    done
}
say "\"$(cat /proc/1/comm)\" as process 1"

# What it prints is what the administrator does next.
cp /etc/inittab /rig/inittab 2>/dev/null || :
inittab=
if [ "$init" = busybox ]; then
    dogwatch install >/rig/installed
    cmp /etc/inittab /rig/inittab || fail "/etc/inittab was changed unasked"
    contains /rig/installed '^::respawn:/usr/bin/dogwatch daemon$' || fail "the line for inittab is not shown"
    inittab=--inittab
fi
dogwatch install $inittab >/rig/installed 2>&1 || fail "install: $(cat /rig/installed)"
[ "$(stat -c %a /etc/dogwatch/dogwatch.conf)" = 644 ] || fail "the configuration's mode"
say installed

mkdir -p /srv/inbox /srv/more /srv/late /srv/endless /srv/spool/tmp /srv/backup /srv/data
echo kept >/srv/data/file
cat >/etc/dogwatch/conf.d/test.conf <<I
[daemon]
shutdown_timeout = 2
log = file:/rig/dogwatch.log debug
[scheduler seen]
cmd = cat {pathname} >>/rig/seen
[scheduler late]
cmd = echo late >>/rig/seen
delay = 1
[scheduler endless]
cmd = echo endless >>/rig/seen; exec sleep 86399
[event_map seen]
IN_CLOSE_WRITE = seen
[event_map late]
IN_CLOSE_WRITE = late
[event_map endless]
IN_CLOSE_WRITE = endless
[watch inbox]
path = /srv/inbox
event_map = seen
[watch late]
path = /srv/late
event_map = late
[watch endless]
path = /srv/endless
event_map = endless
[collector spool]
base_dir = /srv/spool
threshold = 2
[backup]
dir = /srv/backup
I
dogwatch check >/rig/checked 2>&1 || fail "check: $(cat /rig/checked)"
: >/rig/seen
sh -c "$(sed -n 's/^it is started by: //p' /rig/installed)" >/rig/start 2>&1 || fail "start: $(cat /rig/start)"
await dogwatch status
pid=$(cat /run/dogwatch/dogwatch.pid)
# Others wait for its readiness in what starts it.
[ "$init" != s6 ] || s6-svwait -U -t 10000 /run/service/dogwatch || fail "s6 is not told that it is ready"
case $init in
    systemd) systemctl is-enabled dogwatch ;;
    openrc) rc-update show default | grep dogwatch ;;
    sysvinit) ls /etc/rc2.d/S*dogwatch ;;
    dinit) ls /etc/dinit.d/boot.d/dogwatch ;;
    # There it is started with the system by what starts it now.
    runit | s6 | busybox) ;;
esac >/rig/enabled 2>&1 || fail "it is not enabled: $(cat /rig/enabled)"
say started

echo hello >/srv/inbox/file
await contains /rig/seen hello
say "event seen"

printf '[watch more]\npath = /srv/more\nevent_map = seen\n' >/etc/dogwatch/conf.d/more.conf
case $init in
    systemd) systemctl reload dogwatch ;;
    openrc) rc-service dogwatch reload ;;
    sysvinit) /etc/init.d/dogwatch reload ;;
    runit) sv hup dogwatch ;;
    s6) s6-svc -h /run/service/dogwatch ;;
    dinit) dinitctl signal HUP dogwatch ;;
    busybox) kill -HUP "$pid" ;;
esac >/rig/reloaded 2>&1 || fail "reload: $(cat /rig/reloaded)"
reloaded() { echo again >/srv/more/file && contains /rig/seen again; }
await reloaded
[ "$(cat /run/dogwatch/dogwatch.pid)" = "$pid" ] || fail "another process serves after the reload"
say reloaded

echo one >/srv/spool/tmp/one
echo two >/srv/spool/tmp/two
collected() { [ "$(tar -xzOf /srv/spool/files.tar.gz one two)" = "$(printf 'one\ntwo')" ]; }
await collected
say collected

# A schedule is due throughout its minute, of which enough is to be left.
early() { [ "$(date +%S)" -lt 55 ]; }
await early
dogwatch backup -C /srv/backup create "/srv/data;$(date +%H:%M);data"
backed_up() { [ "$(tar -xzOf /srv/backup/backups/data.tar srv/data/file)" = kept ]; }
await backed_up
say "backed up"

# One task is due within the shutdown timeout, and one would run for ever.
echo >/srv/endless/file
await contains /rig/seen endless
echo >/srv/late/file
await contains /rig/dogwatch.log 'late.*scheduled'
[ "$(processes | wc -l)" -gt 1 ] || fail "the processes are not seen"
start=$(date +%s)
case $init in
    systemd) systemctl stop dogwatch ;;
    openrc) rc-service dogwatch stop ;;
    sysvinit) /etc/init.d/dogwatch stop ;;
    runit) sv -w 20 stop dogwatch ;;
    s6) s6-svc -wD -T 20000 -d /run/service/dogwatch ;;
    dinit) dinitctl stop dogwatch ;;
    # It starts again what has ended, as long as the line is there, and ends it itself when the line goes.
    busybox)
        dogwatch uninstall >/rig/uninstalled
        sh -c "$(sed -n 's/^if it runs, it is ended by: //p' /rig/uninstalled)"
        ;;
esac >/rig/stopped 2>&1 || fail "stop: $(cat /rig/stopped)"
gone() { [ -z "$(processes)" ]; }
[ "$init" != busybox ] || await gone
took=$(($(date +%s) - start))
gone || fail "left running: $(processes)"
# That is what it tells systemd: shutdown_timeout and ten seconds.
[ $took -le 12 ] || fail "the stop has taken $took s"
contains /rig/seen late || fail "the task that was due within the shutdown timeout has not run"
say "stopped in $took s"

# It is uninstalled while it runs.
case $init in
    systemd) systemctl start dogwatch ;;
    openrc) rc-service dogwatch start ;;
    sysvinit) /etc/init.d/dogwatch start ;;
    runit) sv start dogwatch ;;
    s6) s6-svc -u /run/service/dogwatch ;;
    dinit) dinitctl start dogwatch ;;
    busybox) ;;
esac >/rig/start 2>&1 || fail "start again: $(cat /rig/start)"
[ "$init" = busybox ] || await dogwatch status
rm /etc/dogwatch/conf.d/*
dogwatch uninstall >/rig/uninstalled 2>&1 || fail "uninstall: $(cat /rig/uninstalled)"
sh -c "$(sed -n 's/^if it runs, it is ended by: //p' /rig/uninstalled)" >/rig/ended 2>&1 || :
left=$(find /etc -name '*dogwatch*')
[ -z "$left" ] || fail "left behind: $left"
[ ! -e /rig/inittab ] || cmp /etc/inittab /rig/inittab || fail "/etc/inittab is not as it was"
await gone
printf uninstalled

# BusyBox kills a second after the end of the system has begun. boot.sh sees whether the task has come to its own end.
[ "$init" = busybox ] || exit 0
dogwatch install --inittab >/rig/installed
cat >/etc/dogwatch/conf.d/test.conf <<I
[daemon]
log = file:/rig/dogwatch.log debug
[scheduler slow]
cmd = sleep 3; echo slow >>/rig/seen
[event_map slow]
IN_CLOSE_WRITE = slow
[watch inbox]
path = /srv/inbox
event_map = slow
I
kill -HUP 1
await dogwatch status
echo >/srv/inbox/file
await contains /rig/dogwatch.log 'slow.*started'
: >/rig/goes-down
poweroff
