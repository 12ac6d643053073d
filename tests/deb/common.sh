# What the scripts share that run in the tree "run" (deb/life.sh, deb/plain.sh). In /deb are the package (now.deb), the same as
# an older version that has another default configuration (last.deb), and as a newer version (next.deb).
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH DEBIAN_FRONTEND=noninteractive
conf=/etc/dogwatch/dogwatch.conf

fail() {
    {
        echo "$0: $*"
        tail -n 30 /tmp/out /var/log/dogwatch*
        if [ -d /run/systemd/system ]; then systemctl --no-pager --lines 20 status dogwatch dogwatch-collect; fi
    } >&2
    exit 1
}
say() { printf -- '--> %s\n' "$*"; }
is() { [ "$1" = "$2" ] || fail "$3: \"$1\", not \"$2\""; }
# Waits for a condition, for thirty seconds at the most.
await() {
    tries=300
    until "$@" 2>/dev/null; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "never: $*"
        sleep 0.1
    done
}
# What people see of it is in /tmp/out.
quietly() { "$@" </dev/null >/tmp/out 2>&1 || fail "$*"; }
# A configuration that was changed on both sides stays, as who answers no questions has to say.
apt() { quietly apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@"; }
install() { apt install --allow-downgrades "/deb/$1.deb"; }
version() { dpkg-query -W -f '${Version}' dogwatch; }

# What exists, and which of the files that others keep name dogwatch; but for what dpkg, apt and systemd note for themselves.
listing() {
    find / -xdev \( -path /deb -o -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /run \
        -o -path /var/cache/apt -o -path /var/log/apt -o -path /var/log/dpkg.log -o -path /var/log/journal -o -path '/var/*-old' -o -path /var/lib/systemd \
        -o -path /var/lib/apt \) -prune -o -printf '%M %u %g %p %l\n' | sort
    find /run -name '*dogwatch*'
    grep -rl dogwatch /etc /var/cache/debconf /var/lib/dpkg /var/lib/systemd 2>/dev/null | grep -v -e '-old$' || :
}
purged() {
    apt purge dogwatch
    listing | diff /tmp/before - || fail "purged, and not all is as it was before"
}
