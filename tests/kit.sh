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

# rust - has cargo use a toolchain that builds for other targets as well: rustup's of this version, in a home of its own, for the
# user's may be read-only, and is not ours to add to. Where that cannot be had, Debian's. $std is what cargo is to be told then.
rust() {
    std=
    version=$(rustc -V | cut -d ' ' -f 2)
    if [ ! -e "$cache/rust-$version" ]; then
        echo "kit: the toolchain, in $cache/rust" >&2
        mkdir -p "$cache"
        RUSTUP_HOME=$cache/rust rustup toolchain install "$version" --no-self-update --profile minimal \
            --target x86_64-unknown-linux-musl --target aarch64-unknown-linux-gnu --target armv7-unknown-linux-gnueabihf \
            >"$cache/rust.log" 2>&1 || { tail -n 3 "$cache/rust.log" >&2; debian_rust; return; }
        touch "$cache/rust-$version"
    fi
    export RUSTUP_HOME="$cache/rust" RUSTUP_TOOLCHAIN="$version"
}

# The same by Debian's newest compiler, unpacked aside, and the sources of its standard library, which cargo builds then.
debian_rust() {
    echo "kit: Debian's rustc-web instead" >&2
    if [ ! -d "$cache/debian-rust" ]; then
        apt-get update -q >/dev/null
        packages debian-rust rustc-web rust-web-src musl musl-dev musl-tools $(apt-cache depends --recurse --important rustc-web |
            grep -e '^libstd-rust' -e '^libllvm')
    fi
    kit=$cache/debian-rust
    if [ ! -d "$kit/bin" ]; then
        new=$(mktemp -d "$kit/XXXXXX")
        cat >"$new/rustc" <<-I
	#!/bin/sh
	export LD_LIBRARY_PATH=$kit/usr/lib/x86_64-linux-gnu
	# What the toolchain for musl would bring along is here what Debian has.
	case "\$*" in
	    *linux-musl*) set -- "\$@" -C link-self-contained=no -C relocation-model=static -L native=$kit/bin ;;
	esac
	exec $kit/usr/bin/rustc "\$@"
	I
        # The standard library wants libunwind, which gcc's libgcc_eh is, but for a function of glibc's that is optional there.
        echo 'int _dl_find_object(void *a, void *r) { (void)a; (void)r; return -1; }' | gcc -O2 -x c -c -o "$new/stub.o" -
        cp "$(gcc -print-file-name=libgcc_eh.a)" "$new/libunwind.a"
        ar r "$new/libunwind.a" "$new/stub.o"
        sed "s#/usr/#$kit/usr/#g" "$(find "$kit/usr" -name musl-gcc.specs)" >"$new/musl-gcc.specs"
        printf '#!/bin/sh\nexec gcc "$@" -specs %s/bin/musl-gcc.specs\n' "$kit" >"$new/musl-gcc"
        chmod 755 "$new" "$new/rustc" "$new/musl-gcc"
        mv -T "$new" "$kit/bin" 2>/dev/null || rm -rf "$new"
    fi
    export RUSTC="$kit/bin/rustc" RUSTC_BOOTSTRAP=1 CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER="$kit/bin/musl-gcc"
    std=-Zbuild-std=std,test,panic_abort,proc_macro
}
