#!/bin/sh
# In the tree "run", with systemd as its first process: the package's life.
set -eu
. /test/common.sh
defaults=/etc/default/dogwatch-collect
log=/var/log/dogwatch-collect

collecting() { systemctl --quiet is-active dogwatch-collect; }
resting() { [ "$(systemctl show -P ActiveState dogwatch-collect)" = inactive ]; }
command_line() { tr '\0' ' ' <"/proc/$(systemctl show -P MainPID dogwatch-collect)/cmdline"; }
collects_in() {
    collecting || fail "the collector does not run"
    is "$(command_line)" "/usr/bin/dogwatch collect --base-dir $1 --log-level $2 " "the collector"
}
told() {
    grep -A 2 '^dogwatch-collect service installed/started with:$' /tmp/out | tail -n 2 | tr '\n' ' ' >/tmp/told
    is "$(cat /tmp/told)" "  BASE_DIR=$1   LOG_LEVEL=$2 " "what people are told"
}
not_told() { ! grep -q 'BASE_DIR=' /tmp/out || fail "it tells of a start"; }
collect_in() {
    for n in 0 1 2 3 4 5 6 7 8 9; do echo "$n" >"$1/tmp/file$n"; done
    await resting
    is "$(tar -tzf "$1/files.tar.gz" | sort | tr '\n' ' ')" \
        "file0 file1 file2 file3 file4 file5 file6 file7 file8 file9 " "the archive"
}
# Answers as a person does whose editor is a sed script, and who has another one, if given, once told that an answer cannot be.
reconfigure() {
    echo "$1" >/tmp/answers
    echo "${2-}" >/tmp/better
    cat >/tmp/editor <<'EOF'
#!/bin/sh
cat "$1" >>/tmp/asked
if grep -q 'cannot be a base directory' "$1"; then sed -i -f /tmp/better "$1"; else sed -i -f /tmp/answers "$1"; fi
EOF
    chmod 755 /tmp/editor
    : >/tmp/asked
    quietly env DEBIAN_FRONTEND=editor EDITOR=/tmp/editor dpkg-reconfigure dogwatch
}
answer() { printf 's,^dogwatch/%s=.*,dogwatch/%s="%s",\n' "$1" "$1" "$2"; }

listing >/tmp/before

say "installed, with no answers"
install now
is "$(dpkg-query -W -f '${Conffiles}' dogwatch | sed -n 's/ [0-9a-f]*$//p' | tr -d '\n')" \
    " /etc/dogwatch/dogwatch.conf /etc/init.d/dogwatch" "the conffiles"
is "$(dogwatch check 2>/dev/null)" "configuration OK, with 1 warning" "the default configuration"
is "$(stat -c '%a %U:%G' $conf)" "644 root:root" "its mode and owner"
is "$(systemctl is-enabled dogwatch) $(systemctl is-active dogwatch)" "enabled active" "the daemon"
is "$(dogwatch status | sed -n 's/^directories watched: //p')" 0 "what it watches"
is "$(systemctl is-enabled dogwatch-collect || :)" disabled "the collector"
resting && [ ! -e $defaults ] || fail "there is a collector, or its configuration"
not_told
wrong=$(systemd-analyze --man=no verify dogwatch.service dogwatch-collect.service dogwatch-collect@srv.service 2>&1) || fail "units: $wrong"
is "$wrong" "" "systemd-analyze verify"

say "the example of a sandbox"
drop_in=/etc/systemd/system/dogwatch.service.d
mkdir -p $drop_in /srv/in
cp /usr/share/doc/dogwatch/examples/sandbox.conf $drop_in/
cat >/etc/dogwatch/conf.d/test.conf <<'EOF'
[rule keep]
action = move
src_re = ^/srv/in/(.*)$
dst_re = /srv/kept/\1
auto_create = yes
user = nobody
[scheduler rules]
rules = keep
then = tell
[scheduler tell]
cmd = cat {pathname} >/srv/out
[event_map new]
IN_CLOSE_WRITE, IN_MOVED_TO = rules
[watch in]
path = /srv/in
event_map = new
EOF
systemctl daemon-reload
quietly systemd-analyze security --threshold=20 --no-pager dogwatch
! systemd-analyze security --threshold=10 --no-pager dogwatch >/tmp/out || fail "the threshold is not obeyed"
sed -n 's/.*\(Overall.*\)/\1/p' /tmp/out
systemctl restart dogwatch
echo inside >/srv/in/file
await grep -q inside /srv/out
is "$(stat -c '%U' /srv/kept/file)" nobody "what a rule does in the sandbox"
systemctl reload dogwatch

say "collectors that are started by hand"
mkdir -p '/srv/in/a b'
another=dogwatch-collect@$(systemd-escape --path '/srv/in/a b').service
systemctl start "$another"
await test -d '/srv/in/a b/tmp'
for n in 0 1 2 3 4 5 6 7 8 9; do echo "$n" >"/srv/in/a b/tmp/$n"; done
await test -e '/srv/in/a b/files.tar.gz'
systemctl start "$another"
systemctl --quiet enable --now dogwatch-collect
install next
is "$(systemctl is-enabled dogwatch-collect)" enabled "after an upgrade, a collector that somebody has enabled"
collects_in /opt/collector ERROR
systemctl --quiet is-active "$another" || fail "the other collector has ended"

rm -r $drop_in /srv/in /srv/kept /srv/out /etc/dogwatch/conf.d/test.conf
systemctl daemon-reload
purged

say "the last version, with answers given before"
debconf-set-selections <<'EOF'
dogwatch dogwatch/collector boolean true
dogwatch dogwatch/base_dir string /opt/collector/test
dogwatch dogwatch/log_level select DEBUG
EOF
install last
is "$(version)" "$(cat /deb/last)" "the version"
told /opt/collector/test DEBUG
is "$(systemctl is-enabled dogwatch-collect)" enabled "the collector"
collects_in /opt/collector/test DEBUG
collect_in /opt/collector/test
is "$(cat $log.log)" "files collected" $log.log
grep -q DEBUG $log.err || fail "nothing at DEBUG in $log.err"
is "$(systemctl show -P Restart -P Result dogwatch-collect | tr '\n' ' ')" "no success " "after a collection"
systemctl restart dogwatch-collect
collects_in /opt/collector/test DEBUG
collect_in /opt/collector/test
is "$(tr '\n' ' ' <$log.log)" "files collected files collected " "$log.log, to which is added"

say "upgraded, with changed configurations"
daemon=$(systemctl show -P MainPID dogwatch)
echo '# changed here' >>$conf
mkdir -p '/opt/my collector'
printf '# mine\nLOG_LEVEL=info\nBASE_DIR=/opt/my collector\n' >$defaults
systemctl restart dogwatch-collect
cp $defaults /tmp/mine
install now
is "$(version)" "$(cat /deb/now)" "the version"
is "$(tail -n 1 $conf)" "# changed here" $conf
[ -e $conf.dpkg-dist ] || fail "the new default configuration is nowhere"
cmp $defaults /tmp/mine || fail "$defaults was changed"
not_told
collects_in "/opt/my collector" info
new=$(systemctl show -P MainPID dogwatch)
[ "$new" != "$daemon" ] || fail "the daemon is the old one"
is "$(readlink "/proc/$new/exe")" /usr/bin/dogwatch "the daemon"
collect_in "/opt/my collector"
install next
resting || fail "an upgrade has started a collector that had ended"

say "reconfigured"
reconfigure "$(answer base_dir '/opt/collector/a \&\&|b'; answer log_level WARNING)"
grep -q '^dogwatch/base_dir="/opt/my collector"' /tmp/asked || fail "not what holds was offered: $(cat /tmp/asked)"
told '/opt/collector/a &&|b' WARNING
collects_in '/opt/collector/a &&|b' WARNING
is "$(tr '\n' ';' <$defaults)" '# mine;LOG_LEVEL="WARNING";BASE_DIR="/opt/collector/a &&|b";' $defaults
quietly dpkg-reconfigure -f noninteractive dogwatch
not_told
collects_in '/opt/collector/a &&|b' WARNING
reconfigure "$(answer base_dir relative)" "$(answer base_dir /opt/collector)"
told /opt/collector WARNING
collects_in /opt/collector WARNING
reconfigure "$(answer collector no)"
is "$(systemctl is-enabled dogwatch-collect || :)" disabled "the collector that is not wanted"
collecting && fail "it runs"
reconfigure "$(answer collector yes)"
told /opt/collector WARNING
collects_in /opt/collector WARNING

say "disabled by hand"
systemctl --quiet disable --now dogwatch-collect
install now
quietly dpkg-reconfigure -f noninteractive dogwatch
is "$(systemctl is-enabled dogwatch-collect || :)" disabled "the collector that somebody has disabled"
systemctl --quiet enable --now dogwatch-collect

say "removed, and installed again"
cp $defaults /tmp/mine
apt remove dogwatch
[ ! -e /usr/bin/dogwatch ] || fail "the program is still there"
collecting && fail "the collector still runs"
systemctl --quiet is-active dogwatch && fail "the daemon still runs"
install now
is "$(tail -n 1 $conf)" "# changed here" $conf
cmp $defaults /tmp/mine || fail "$defaults was changed"
collects_in /opt/collector WARNING
is "$(systemctl is-active dogwatch)" active "the daemon"

say "purged; data stay"
mkdir -p /var/lib/dogwatch/backup
touch /var/lib/dogwatch/pending /var/lib/dogwatch/backup/kept
apt purge dogwatch
is "$(find /var/lib/dogwatch | tr '\n' ' ')" "/var/lib/dogwatch /var/lib/dogwatch/backup /var/lib/dogwatch/backup/kept " "the backups"
is "$(find /opt -type f | sort | tr '\n' ';')" "$(find /opt -name 'files*.tar.gz' | sort | tr '\n' ';')" "the archives"
[ "$(find /opt -type f | wc -l)" -ge 3 ] || fail "archives are lost"
rm -r /var/lib/dogwatch /opt/collector '/opt/my collector'
listing | diff /tmp/before - || fail "purged, and not all is as it was before"

say "an answer given before that cannot be"
debconf-set-selections <<'EOF'
dogwatch dogwatch/collector boolean true
dogwatch dogwatch/base_dir string opt
EOF
install now
grep -q "no collector is started: its base directory 'opt' is not absolute" /tmp/out || fail "that is not told"
is "$(systemctl is-enabled dogwatch-collect || :)" disabled "the collector"

say "purged at once, with a collector that made its directories"
apt purge dogwatch
echo 'dogwatch dogwatch/collector boolean true' | debconf-set-selections
install now
told /opt/collector ERROR
collects_in /opt/collector ERROR
purged
