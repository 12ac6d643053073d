#!/bin/sh
# install.sh INIT DESTDIR PROGRAM - what `dogwatch install --init INIT --root DESTDIR` does, for a program that cannot run here
# (a cross build), and that will be called by the path PROGRAM. Called by `make install`; tests/install.sh holds the two together.
set -eu
init=$1 root=${2%/} program=$3
cd "$(dirname "$0")"
text=$(mktemp)
trap 'rm -f "$text"' EXIT
kept() { echo "install.sh: $1 is not as this version writes it: it is kept" >&2; }
# FILE PLACE MODE: what stands there already is not overwritten.
put() {
    sed "s|/usr/bin/dogwatch|$program|g" "$1" >"$text"
    if [ ! -e "$root/$2" ] && [ ! -L "$root/$2" ]; then
        install -D -m "$3" "$text" "$root/$2"
        echo "wrote $root/$2"
    elif ! cmp -s "$text" "$root/$2"; then
        kept "$root/$2"
        return 1
    fi
}
# Whoever has changed the configuration has done what it is there for.
install -d -m 755 "$root/etc/dogwatch/conf.d"
put dogwatch.conf etc/dogwatch/dogwatch.conf 644 || :

case $init in
    systemd) put systemd/dogwatch.service etc/systemd/system/dogwatch.service 644 ;;
    openrc | sysvinit) put $init/dogwatch etc/init.d/dogwatch 755 ;;
    runit)
        put runit/run etc/sv/dogwatch/run 755
        link=$root/etc/sv/dogwatch/supervise
        [ -e "$link" ] || [ -L "$link" ] || ln -s /run/dogwatch.supervise "$link"
        [ "$(readlink "$link")" = /run/dogwatch.supervise ] || { kept "$link"; exit 1; }
        ;;
    s6)
        put s6/run etc/s6/sv/dogwatch/run 755
        put s6/notification-fd etc/s6/sv/dogwatch/notification-fd 644
        put s6/type etc/s6/sv/dogwatch/type 644
        ;;
    dinit) put dinit/dogwatch etc/dinit.d/dogwatch 644 ;;
    busybox)
        echo "lines for /etc/inittab:"
        sed "s|/usr/bin/dogwatch|$program|g" busybox/inittab
        ;;
    *)
        echo "install.sh: there is no init system \"$init\"; it is one of systemd, openrc, sysvinit, runit, s6, dinit, busybox" >&2
        exit 2
        ;;
esac
