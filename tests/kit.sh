# What the scripts of make check share, to be sourced by them; and what rigs need and this machine lacks, made once and kept in the
# user's cache, with Debian's apt.
script=${0##*/}
fail() { echo "$script: $*" >&2; exit 1; }
# What is missing here; in CI nothing may be.
skip() {
    [ -z "${CI-}" ] || fail "in CI nothing is skipped: $*"
    echo "SKIPPED: $script: $*"
    exit 0
}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dogwatch

# packages NAME PACKAGE... - Debian packages unpacked in $cache/NAME: nothing is installed. It is whole, or not there.
packages() {
    kit=$cache/$1
    shift
    [ ! -d "$kit" ] || return 0
    mkdir -p "$cache"
    new=$(mktemp -d "$kit.XXXXXX")
    mkdir "$new/debs"
    echo "kit: unpacking $* in $kit" >&2
    (
        cd "$new/debs"
        apt-get update -q
        apt-get download -q "$@"
        for deb in *.deb; do dpkg-deb --extract "$deb" ..; done
    ) >"$new/log" 2>&1 || { cat "$new/log" >&2; rm -rf "$new"; fail "cannot get the packages: $*"; }
    rm -r "$new/debs" "$new/log"
    # Somebody else may have been faster.
    mv -T "$new" "$kit" 2>/dev/null || rm -rf "$new"
}

# rust - has cargo use the toolchain of this version with the standard library for other targets as well: rustup's, in a home of
# its own, for the user's may be read-only, and is not ours to add to.
rust() {
    version=$(rustc -V | cut -d ' ' -f 2)
    export RUSTUP_HOME="$cache/rust" RUSTUP_TOOLCHAIN="$version"
    [ ! -e "$cache/rust-$version" ] || return 0
    echo "kit: the toolchain, in $RUSTUP_HOME" >&2
    mkdir -p "$cache"
    rustup toolchain install "$version" --no-self-update --profile minimal --target x86_64-unknown-linux-musl \
        --target aarch64-unknown-linux-gnu --target armv7-unknown-linux-gnueabihf >"$cache/rust.log" 2>&1 ||
        { cat "$cache/rust.log" >&2; fail "cannot get the toolchain for other targets"; }
    touch "$cache/rust-$version"
}
