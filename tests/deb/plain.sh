#!/bin/sh
# In the tree "run", with no service manager at all: the package's life by its script in /etc/init.d.
set -eu
. /test/common.sh
script=/etc/init.d/dogwatch
pid() { dogwatch status --pid-file /run/dogwatch/dogwatch.pid 2>/dev/null | sed -n 's/^pid: //p'; }
# The script's exit status; what it says is in /tmp/out.
script() {
    code=0
    $script "$@" </dev/null >/tmp/out 2>&1 || code=$?
    echo $code
}

# Here it is systemd's, which does not run; sysvinit's would say this.
rm /usr/sbin/runlevel
printf '#!/bin/sh\necho N 2\n' >/usr/sbin/runlevel
chmod 755 /usr/sbin/runlevel

listing >/tmp/before
say "installed: the script starts it"
install last
daemon=$(pid)
[ -n "$daemon" ] || fail "it does not run"
is "$(script status)" 0 "status of what runs"
is "$(script start)" 0 "a second start"
is "$(pid)" "$daemon" "the daemon after a second start"
is "$(script configtest)" 0 "configtest"
is "$(script reload)" 0 "reload"
is "$(script restart)" 0 "restart"
is "$(script nonsense)" 2 "nonsense"
[ "$(pid)" != "$daemon" ] || fail "it was not restarted"
[ ! -d "/proc/$daemon" ] || fail "the old one still runs"

say "a wrong configuration is refused"
daemon=$(pid)
echo '[nonsense]' >/etc/dogwatch/conf.d/wrong.conf
is "$(script configtest)" 6 "configtest of a wrong one"
for command in restart force-reload reload; do
    is "$(script $command)" 6 "$command with a wrong one"
    grep -q 'wrong.conf:1:' /tmp/out || fail "it does not say why"
    is "$(pid)" "$daemon" "the daemon after it"
done
install now
is "$(version)" "$(cat /deb/now)" "the version after an upgrade with a wrong configuration"
is "$(pid)" "$daemon" "the daemon after it"
rm /etc/dogwatch/conf.d/wrong.conf
install next
is "$(readlink "/proc/$(pid)/exe")" /usr/bin/dogwatch "the daemon after an upgrade"

say "stopped, removed, purged"
is "$(script stop)" 0 stop
is "$(pid)" "" "the daemon after a stop"
is "$(script stop)" 0 "a second stop"
is "$(script status)" 3 "status of what does not run"
is "$(script reload)" 7 "reload of what does not run"
is "$(script start)" 0 start
daemon=$(pid)
apt remove dogwatch
[ ! -d "/proc/$daemon" ] || fail "removed, and it still runs"
[ ! -x $script ] || fail "removed, and its script can still be called"
is "$(sh $script start; echo $?)" 0 "the script that is left"
install now
[ -n "$(pid)" ] || fail "installed again, it does not run"
purged
