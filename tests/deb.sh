#!/bin/sh
# The Debian package: what is in it, and installing, upgrading, removing and purging it. Run by `make check`.
#
# Where it may (CI=true, as root), it is installed for real, with apt; in the end this machine is as it was before.
set -eu
cd "$(dirname "$0")/.."
fail() { echo "deb.sh: $*" >&2; exit 1; }
skip() {
    [ -z "${CI-}" ] || fail "in CI nothing is skipped: $*"
    echo "SKIPPED: deb.sh: $*"
    exit 0
}
for tool in dh dpkg-buildpackage lintian; do
    command -v $tool >/dev/null || skip "$tool is missing (packages debhelper and lintian)"
done

scratch=$(mktemp -d)
chmod 755 "$scratch"
daemon=
installed=
clean_up() {
    status=$?
    trap - EXIT
    if [ -n "$daemon" ]; then kill "$daemon" 2>/dev/null || :; wait "$daemon" || :; fi
    if [ -n "$installed" ]; then
        rm -rf /etc/dogwatch/conf.d/test.conf /var/lib/dogwatch
        dpkg --purge dogwatch || status=1
    fi
    rm -rf "$scratch"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
say() { printf -- '--> %s\n' "$*"; }
# Waits for a condition, for thirty seconds at the most.
await() {
    tries=300
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { cat "$scratch/log" >&2; fail "never: $*"; }
        sleep 0.1
    done
}

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
[ "$(dpkg-parsechangelog -S Version)" = "$version" ] || fail "debian/changelog has another version than Cargo.toml"

say "make deb"
around() { find . -path ./target -prune -o -path ./.git -prune -o -print; ls -a ..; }
around >"$scratch/around"
make --no-print-directory deb >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; fail "make deb"; }
around | diff "$scratch/around" - || fail "make deb has left something behind"
deb=$(realpath "target/debian/dogwatch_${version}_$(dpkg --print-architecture).deb")

say "what is in it"
dpkg-deb --extract "$deb" "$scratch/root"
dpkg-deb --control "$deb" "$scratch/control"
doc=usr/share/doc/dogwatch
for file in usr/bin/dogwatch etc/dogwatch/dogwatch.conf usr/lib/systemd/system/dogwatch.service \
    usr/share/bash-completion/completions/dogwatch usr/share/man/man1/dogwatch.1.gz usr/share/man/man5/dogwatch.conf.5.gz \
    $doc/copyright $doc/changelog.gz $doc/CHANGELOG.md* $doc/README.md* $doc/examples/demo.conf; do
    ls "$scratch/root"/$file >/dev/null || fail "not in the package: $file"
done
[ "$(cat "$scratch/control/conffiles")" = /etc/dogwatch/dogwatch.conf ] || fail "the configuration is no conffile"
found=$(dpkg-deb --contents "$deb" | sed -n 's/ .*\/etc\/dogwatch\/dogwatch.conf$//p')
[ "$found" = -rw-r--r-- ] || fail "the configuration's mode is $found"
lintian --fail-on error,warning --allow-root "${deb%.deb}.changes"

# Without the # before them the lines of the configuration make one that holds.
sed -n 's/^#\([^ ]\)/\1/p' "$scratch/root/etc/dogwatch/dogwatch.conf" >"$scratch/uncommented.conf"
checked=$("$scratch/root/usr/bin/dogwatch" check -c "$scratch/uncommented.conf" 2>&1) || :
[ "$checked" = "configuration OK" ] || fail "the configuration that is offered: $checked"

[ -n "${CI-}" ] || skip "it is installed for real in CI only (CI=true)"
[ "$(id -u)" = 0 ] || skip "installing it needs root"
for path in /usr/bin/dogwatch /etc/dogwatch /var/lib/dogwatch /run/dogwatch; do
    [ ! -e $path ] || fail "dogwatch is here already: $path"
done
export DEBIAN_FRONTEND=noninteractive
# What exists where packages install to, and what bears the name elsewhere but in logs and in the cache of pages shown.
machine() {
    find /etc /usr /var/lib/dpkg -xdev
    find /var /run -xdev \( -path /var/cache -o -path /var/log \) -prune -o -name '*dogwatch*' -print
}

say "apt-get install"
machine | sort >"$scratch/before"
installed=yes
cp "$deb" "$scratch/first.deb"
apt-get install -q -y --no-install-recommends "$scratch/first.deb"
[ "$(dogwatch version)" = "dogwatch $version" ] || fail "$(dogwatch version)"
[ "$(stat -c '%a %U:%G' /etc/dogwatch/dogwatch.conf)" = "644 root:root" ] || fail "the configuration's owner and mode"
[ "$(dogwatch check)" = "configuration OK, with 1 warning" ] || fail "the default configuration does not hold"
command -v systemd-analyze >/dev/null || skip "systemd-analyze is missing (package systemd)"
wrong=$(systemd-analyze verify /usr/lib/systemd/system/dogwatch.service 2>&1) || fail "the unit: $wrong"
[ -z "$wrong" ] || fail "the unit: $wrong"
[ -L /etc/systemd/system/multi-user.target.wants/dogwatch.service ] || fail "the service is not enabled"

say "dogwatch daemon"
mkdir "$scratch/src"
cat >/etc/dogwatch/conf.d/test.conf <<EOF
[scheduler test]
cmd = cat {pathname} >>$scratch/out
[event_map test]
IN_CLOSE_WRITE = test
[watch test]
path = $scratch/src
event_map = test
EOF
[ "$(dogwatch check)" = "configuration OK" ] || fail "the drop-in does not hold"
# Where systemd runs, the service runs already and is to obey the new file; else it is started here.
if [ -d /run/systemd/system ]; then
    systemctl is-active dogwatch || fail "the service does not run"
    systemctl reload dogwatch
else
    dogwatch daemon 2>"$scratch/log" &
    daemon=$!
    await grep -q 'ready, directories watched: 1' "$scratch/log"
fi
says() { echo "$1" >"$scratch/src/file" && grep -q "$1" "$scratch/out"; }
await says hello 2>/dev/null

say "upgrade"
dpkg-deb --raw-extract "$deb" "$scratch/next"
sed -i "s/^Version: .*/Version: $version.1/" "$scratch/next/DEBIAN/control"
dpkg-deb --root-owner-group --build "$scratch/next" "$scratch/next.deb" >/dev/null
echo '# changed here' >>/etc/dogwatch/dogwatch.conf
apt-get install -q -y --no-install-recommends "$scratch/next.deb"
[ "$(dpkg-query -W -f '${Version}' dogwatch)" = "$version.1" ] || fail "it was not upgraded"
grep -q '^# changed here' /etc/dogwatch/dogwatch.conf || fail "the upgrade has overwritten the configuration"
await says again 2>/dev/null
if [ -n "$daemon" ]; then
    kill "$daemon"
    wait "$daemon" || fail "the daemon did not end in good order"
    daemon=
fi

say "remove"
apt-get remove -q -y dogwatch
[ ! -e /usr/bin/dogwatch ] || fail "the program is still there"
grep -q '^# changed here' /etc/dogwatch/dogwatch.conf || fail "the configuration was removed"

say "purge"
mkdir -p /var/lib/dogwatch/backup
touch /var/lib/dogwatch/pending /var/lib/dogwatch/backup/kept
rm /etc/dogwatch/conf.d/test.conf
apt-get purge -q -y dogwatch
[ "$(find /var/lib/dogwatch)" = "$(printf '/var/lib/dogwatch%s\n' '' /backup /backup/kept)" ] || fail "backups are kept, no more"
rm -r /var/lib/dogwatch
installed=
machine | sort | diff "$scratch/before" - || fail "purged, and this machine is not as it was before"
