#!/bin/sh
# trees.sh - two Debian 13 systems: "build", with its own cargo and what builds and looks at packages, and "run", a small one
# with systemd, where the package is installed. They are made once and kept in the user's cache directory; where that is, is
# printed. Needs root and the package mmdebstrap.
set -eu
# What comes from another recipe than this one is not taken for its result.
recipe=$(cksum <"$0" | cut -d ' ' -f 1)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dogwatch/deb/$recipe
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
# From where this machine's own packages come.
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
mirror=$(apt-get indextargets --format '$(RELEASE) $(SITE)' 'Identifier: Packages' | sed -n "s/^$suite //p" | head -n 1)

tree() {
    [ ! -e "$cache/$1" ] || return 0
    start=$(date +%s)
    # What was left by a kill.
    rm -rf --one-file-system "$cache/$1.new"
    mmdebstrap --quiet --variant=apt --include="$2" --aptopt='APT::Install-Recommends "false"' \
        trixie "$cache/$1.new" ${mirror:+"$mirror"} >&2
    mv "$cache/$1.new" "$cache/$1"
    echo "trees.sh: made $1 in $(($(date +%s) - start)) s, $(du -sm "$cache/$1" | cut -f 1) MB" >&2
}
tree run systemd-sysv
tree build mount,build-essential,debhelper,po-debconf,cargo,lintian
echo "$cache"
