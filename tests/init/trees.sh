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

for name; do
    [ ! -e "$cache/$name" ] || continue
    start=$(date +%s)
    # What was left by a kill.
    rm -rf --one-file-system "$cache/$name.new"
    case $name in
        systemd) packages=systemd-sysv ;;
        sysvinit) packages=sysvinit-core,sysv-rc,insserv,procps ;;
        openrc) packages=openrc,sysvinit-core ;;
        runit) packages=runit-init,runit,sysvinit-utils ;;
        s6) packages=s6 ;;
        busybox) packages= ;;
        *) echo "trees.sh: there is no tree \"$name\"" >&2; exit 2 ;;
    esac
    if [ "$name" = busybox ]; then
        mkdir -p "$cache/$name.new/package"
        chmod 777 "$cache/$name.new"
        (cd "$cache/$name.new" && apt-get download -q busybox-static && dpkg -x busybox-static_*.deb package) >&2
        # Debian 13 has it in /usr/bin.
        mv "$(find "$cache/$name.new/package" -type f -path '*/bin/busybox')" "$cache/$name.new/"
        chmod 755 "$cache/$name.new"
        rm -r "$cache/$name.new/package" "$cache/$name.new"/*.deb
    else
        mmdebstrap --quiet --variant=essential --include="$packages" \
            --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
            --dpkgopt='path-exclude=/usr/share/locale/*' \
            "$suite" "$cache/$name.new" ${mirror:+"$mirror"} >&2
    fi
    mv "$cache/$name.new" "$cache/$name"
    echo "trees.sh: made $name in $(($(date +%s) - start)) s, $(du -sm "$cache/$name" | cut -f 1) MB" >&2
done
echo "$cache"
