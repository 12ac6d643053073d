#!/bin/sh
# In the tree "build", without network: the package is built by Debian's own cargo, from crates in vendor/, and looked at.
set -eu
cd /build/dogwatch
fail() { echo "build.sh: $*" >&2; exit 1; }
say() { printf -- '--> %s\n' "$*"; }
quietly() { "$@" >/tmp/log 2>&1 || { cat /tmp/log >&2; fail "$*"; }; }

[ "$(sed -n 's/^ *\([^ ]*\):.*/\1/p' /proc/net/dev)" = lo ] || fail "there is a network"
case $(cargo --version) in
    "cargo 1.85."*) ;;
    *) fail "this is to prove that Rust 1.85 is enough, and here is $(cargo --version)" ;;
esac

say "make all, with $(cargo --version), without network"
around() { find . \( -path ./target -o -path ./vendor \) -prune -o -print; ls -a ..; }
around >/tmp/around
# Without -d: what the package says it needs is asked for.
quietly make --no-print-directory all DEBFLAGS=
around | diff /tmp/around - || fail "make all has left something behind"

say lintian
lintian -I --pedantic --fail-on error,warning --allow-root --show-overrides target/debian/dogwatch_*.changes

say "the package dogwatch-dbgsym"
mkdir /tmp/deb
for deb in target/debian/dogwatch_*.deb target/debian/dogwatch-dbgsym_*.deb; do dpkg-deb --extract "$deb" /tmp/deb; done
id=$(readelf -n /tmp/deb/usr/bin/dogwatch | sed -n 's/.*Build ID: //p')
symbols=/tmp/deb/usr/lib/debug/.build-id/$(echo "$id" | cut -c 1-2)/$(echo "$id" | cut -c 3-).debug
[ -e "$symbols" ] || fail "not there: $symbols"
[ -z "$(nm /tmp/deb/usr/bin/dogwatch 2>/dev/null)" ] || fail "the program has its symbols itself"
# A debugger finds the lines of functions.
lines=$(nm "$symbols" | sed -n 's/ [tT] .*dogwatch.*//p' | addr2line -e "$symbols" | grep -c '^\./src/.*\.rs:[0-9]') || :
[ "$lines" -gt 100 ] || fail "lines of the source that were found: $lines"

say "the tests, with this cargo"
mkdir -p /root/.cargo
cat >/root/.cargo/config.toml <<EOF
[source.crates-io]
replace-with = "vendor"
[source.vendor]
directory = "/build/dogwatch/vendor"
EOF
# All of them are compiled. Those of the whole binary are run that take seconds; with --all, as `make soak` does, also those of
# the library, but for the random ones, which ask this system for nothing and take minutes.
export CARGO_TARGET_DIR=target/tests
quietly cargo check --locked --offline --all-targets
cargo test --locked --offline --quiet --test run --test jobs
[ -z "$ALL" ] || cargo test --locked --offline --quiet --lib -- --skip simulation
