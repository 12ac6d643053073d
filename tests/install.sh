#!/bin/sh
# What `make install` puts below DESTDIR is whole and works. Run by `make check`.
set -eu
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
make --no-print-directory install DESTDIR="$stage" PREFIX=/usr
for file in bin/dogwatch share/bash-completion/completions/dogwatch share/man/man1/dogwatch.1 \
    share/man/man5/dogwatch.conf.5 share/man/man8/dogwatch-daemon.8 \
    share/doc/dogwatch/README.md share/doc/dogwatch/CHANGELOG.md share/doc/dogwatch/examples/demo.conf; do
    test -e "$stage/usr/$file" || { echo "install.sh: not installed: $file" >&2; exit 1; }
done
"$stage/usr/bin/dogwatch" version
for example in "$stage"/usr/share/doc/dogwatch/examples/*.conf; do
    echo "check $(basename "$example")"
    "$stage/usr/bin/dogwatch" check -c "$example"
done
size=$(stat -c %s "$stage/usr/bin/dogwatch")
echo "the binary has $size bytes"
