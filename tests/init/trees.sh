#!/bin/sh
# trees.sh NAME... - the small Debian systems that tests/init/run.sh starts, each with the init system of this name, and for
# "busybox" its static binary. They are made once, of this machine's release, and kept in the user's cache directory; where that
# is, is printed. Needs root and the package mmdebstrap.
set -eu
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
# What comes from another recipe than this one is not taken for its result.
recipe=$(cksum <"$0" | cut -d ' ' -f 1)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dogwatch/init/$suite-$recipe
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
# From where this machine's own packages come.
mirror=$(apt-get indextargets --format '$(RELEASE) $(SITE)' 'Identifier: Packages' | sed -n "s/^$suite //p" | head -n 1)

# NAME PACKAGE,...
tree() {
    mmdebstrap --quiet --variant=essential --include="$2" --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$suite" "$cache/$1.new" ${mirror:+"$mirror"} >&2
}
busybox() (
    mkdir -p "$cache/busybox.new"
    package=$(mktemp -d)
    trap 'rm -r "$package"' EXIT
    # apt-get gives up its privileges for this.
    chmod 777 "$package"
    cd "$package"
    apt-get download -q busybox-static >&2
    dpkg -x busybox-static_*.deb .
    # Debian 13 has it in /usr/bin.
    cp "$(find . -type f -path '*/bin/busybox')" "$cache/busybox.new/"
)
make() {
    start=$(date +%s)
    # What was left by a kill.
    rm -rf --one-file-system "$cache/$1.new"
    case $1 in
        systemd) tree systemd systemd-sysv ;;
        sysvinit) tree sysvinit sysvinit-core,sysv-rc,insserv,procps ;;
        openrc) tree openrc openrc,sysvinit-core ;;
        runit) tree runit runit-init,runit,sysvinit-utils ;;
        s6) tree s6 s6 ;;
        busybox) busybox ;;
        *) echo "there is no tree \"$1\"" >&2; false ;;
    esac &&
        mv "$cache/$1.new" "$cache/$1" &&
        echo "trees.sh: made $1 in $(($(date +%s) - start)) s, $(du -sm "$cache/$1" | cut -f 1) MB" >&2
}

# All at once, for each waits for the network, the disk and the processor in turn.
for name; do
    [ -e "$cache/$name" ] || make "$name" &
done
wait
for name; do
    [ -e "$cache/$name" ] || { echo "trees.sh: $name was not made" >&2; exit 1; }
done
echo "$cache"
