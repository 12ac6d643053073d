# make run     build dogwatch and watch it work, in a scratch directory
# make test    the whole test suite
# make soak    all tests on what passes for other machines; the random tests, many times as often
# make check   the wider checks: of what is installed, the examples, the manual, the Debian package, every init system, the static
#              binary, old kernels; and on what passes for other machines (make machines: musl, ARM, one of its own in QEMU)
# make boot    boots other systems whole, in QEMU, each with its own init
# make bench   benchmarks; each prints ratios of one run
# make peers   dogwatch beside other tools, which are fetched when it is first run: tables of what was measured
# make install DESTDIR= PREFIX=/usr/local INIT=
#              INIT, the name of an init system, adds its service files and the default configuration
# make static  one file that needs no other: target/static/dogwatch-gnu, or with LIBC=musl
# make deb     a Debian package, in target/debian (needs debhelper and po-debconf); make all is the same
# make vendor  fetches the crates into vendor/: with that, all of this needs no network
CARGO ?= cargo
ifneq ($(wildcard vendor),)
override CARGO += --offline --config 'source.crates-io.replace-with="vendor"' --config 'source.vendor.directory="vendor"'
endif
PREFIX ?= /usr/local
DESTDIR ?=
INIT ?=
export CARGO_TARGET_DIR ?= target

.PHONY: build all run test soak check here machines boot bench peers lint install static deb vendor clean

build:
	$(CARGO) build --release --locked

all: deb

run: build
	sh examples/demo.sh $(CARGO_TARGET_DIR)/release/dogwatch

# The tests of the errno gate need its test build; everything else is run as it is shipped.
test:
	$(CARGO) test --locked
	$(CARGO) build --locked --features fault --examples
	$(CARGO) test --locked --features fault --test fault -- --show-output
	$(CARGO) test --locked --features fault --test model --test worker
	$(CARGO) test --locked --features fault --test files -- kill:: plain:: full::
	$(CARGO) test --locked --features fault --test collect fault:: -- --show-output
	$(CARGO) test --locked --features fault --test backup fault:: -- --show-output
	$(CARGO) test --locked --features fault --test attack -- --show-output

# Much of what make check does a little of: everything as on an old kernel, on ARM, and where little is installed. Then a thousand
# moves and copies with kills, and the random tests of the watch tree, for about half an hour.
soak: build
	sh tests/bare.sh
	sh tests/enosys.sh --all
	sh tests/cross.sh --all
	sh tests/deb.sh --all
	DOGWATCH_LINES=300000 $(CARGO) test --locked --test collect lines -- --nocapture
	DOGWATCH_KILLS=200 $(CARGO) test --locked --test backup kills -- --nocapture
	DOGWATCH_FILES=1000 $(CARGO) test --locked --test files random -- --nocapture
	DOGWATCH_SEEDS=1000000 $(CARGO) test --release --locked --lib simulation -- --nocapture
	DOGWATCH_WILD=1 DOGWATCH_SEEDS=10000 $(CARGO) test --locked --test model -- --nocapture
	DOGWATCH_WILD=1 DOGWATCH_SEEDS=10000 $(CARGO) test --locked --features fault --test model -- --nocapture

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --features fault -- -D warnings

check: here machines

here: build
	sh tests/install.sh
	sh tests/static.sh gnu
	sh tests/enosys.sh
	sh tests/man.sh
	sh tests/deb.sh
	sh tests/init/run.sh

# A kernel and compilers are fetched when they are first needed.
machines: static
	sh tests/boot/boot.sh
	sh tests/static.sh musl
	sh tests/cross.sh

boot: static
	sh tests/boot/boot.sh
	sh tests/boot/whole.sh

bench:
	$(CARGO) bench --locked

peers: build
	sh tests/peers.sh $(CARGO_TARGET_DIR)/release/dogwatch

install:
	install -D -m 755 $(CARGO_TARGET_DIR)/release/dogwatch $(DESTDIR)$(PREFIX)/bin/dogwatch
	install -D -m 644 src/cli/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/dogwatch
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 man/*.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 man/*.5
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 man/*.8
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/dogwatch README.md CHANGELOG.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/dogwatch/man man/model.svg
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/dogwatch/examples examples/*.conf
	$(if $(INIT),sh init/install.sh $(INIT) '$(DESTDIR)' $(PREFIX)/bin/dogwatch)

# With glibc or with musl (LIBC=musl: the toolchain needs that target). The machine is named, so that what cargo has made for
# build and test stays as it is.
LIBC = gnu
STATIC = $(CARGO_TARGET_DIR)/static
static:
	target=$$(rustc -vV | sed -n 's/^host: \(.*\)-.*/\1/p')-$(LIBC) && \
	    RUSTFLAGS="-C target-feature=+crt-static" \
	    $(CARGO) build --release --locked --target $$target --target-dir $(STATIC)/build && \
	    cp $(STATIC)/build/$$target/release/dogwatch $(STATIC)/dogwatch-$(LIBC).new && \
	    mv $(STATIC)/dogwatch-$(LIBC).new $(STATIC)/dogwatch-$(LIBC)

# From a copy, for dpkg leaves its results beside the tree and its traces in it. With -d, for cargo and the linker may be
# there without being Debian's packages: what is really missing is told when it is called. `make deb DEBFLAGS=` asks.
DEB = target/debian
DEBFLAGS ?= -d
deb:
	mkdir -p $(DEB)
	rm -rf $(DEB)/dogwatch $(DEB)/dogwatch_*
	mkdir $(DEB)/dogwatch
	tar -c --exclude ./target --exclude ./.git . | tar -x -C $(DEB)/dogwatch
	cd $(DEB)/dogwatch && CARGO_TARGET_DIR=$(CURDIR)/$(DEB)/build dpkg-buildpackage -us -uc -b $(DEBFLAGS)
	rm -r $(DEB)/dogwatch

vendor:
	cargo vendor --locked vendor

clean:
	$(CARGO) clean
