#!/bin/sh
# What `make install` puts below DESTDIR is whole and works. Run by `make check`.
set -eu
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
make --no-print-directory install DESTDIR="$stage" PREFIX=/usr
for file in bin/dogwatch share/bash-completion/completions/dogwatch share/man/man1/dogwatch.1 \
    share/man/man5/dogwatch.conf.5 share/man/man8/dogwatch-daemon.8 \
    share/doc/dogwatch/README.md share/doc/dogwatch/CHANGELOG.md share/doc/dogwatch/man/model.svg \
    share/doc/dogwatch/examples/demo.conf; do
    test -e "$stage/usr/$file" || { echo "install.sh: not installed: $file" >&2; exit 1; }
done
"$stage/usr/bin/dogwatch" version
for example in "$stage"/usr/share/doc/dogwatch/examples/*.conf; do
    echo "check $(basename "$example")"
    "$stage/usr/bin/dogwatch" check -c "$example"
done
size=$(stat -c %s "$stage/usr/bin/dogwatch")
echo "the binary has $size bytes"

# What `make install` and `dogwatch install` do for an init system is the same, the first time and the second.
same() { (cd "$1" && find etc -printf '%p %y %m %l\n' | sort && find etc -type f -exec cksum {} + | sort); }
for init in systemd openrc sysvinit runit s6 dinit busybox; do
    echo "make install INIT=$init"
    for time in first second; do
        make --no-print-directory install DESTDIR="$stage/$init" PREFIX=/usr INIT=$init >"$stage/log" 2>&1 || { cat "$stage/log"; exit 1; }
        mkdir -p "$stage/$init-root"
        "$stage/usr/bin/dogwatch" install --init $init --root "$stage/$init-root" >"$stage/told"
        [ "$(same "$stage/$init")" = "$(same "$stage/$init-root")" ] || {
            echo "install.sh: the $time time, $init: make install and dogwatch install differ" >&2
            diff -r "$stage/$init/etc" "$stage/$init-root/etc" >&2
            exit 1
        }
    done
    rm -r "${stage:?}/$init/usr"
done
grep -q '^::respawn:/usr/bin/dogwatch daemon$' "$stage/log" || { echo "install.sh: no line for inittab" >&2; exit 1; }
make --no-print-directory install DESTDIR="$stage/local" INIT=openrc >"$stage/log"
grep -q '^command=/usr/local/bin/dogwatch$' "$stage/local/etc/init.d/dogwatch" || { echo "install.sh: not the program's path" >&2; exit 1; }
echo changed >"$stage/local/etc/init.d/dogwatch"
! make --no-print-directory install DESTDIR="$stage/local" INIT=openrc >"$stage/log" 2>&1 || { echo "install.sh: no word of a changed file" >&2; exit 1; }
[ "$(cat "$stage/local/etc/init.d/dogwatch")" = changed ] || { echo "install.sh: a changed file was overwritten" >&2; exit 1; }
