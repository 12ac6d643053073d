# make run     build dogwatch and watch it work, in a scratch directory
# make test    the whole test suite
# make soak    the random tests of the watch tree, many times as often
# make check   the wider checks (what is installed works; examples)
# make bench   benchmarks; each prints ratios of one run
# make install DESTDIR= PREFIX=/usr/local
CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: build run test soak check bench lint install clean

build:
	$(CARGO) build --release --locked

run: build
	sh examples/demo.sh target/release/dogwatch

# The tests of the errno gate need its test build; everything else is run as it is shipped.
test:
	$(CARGO) test --locked
	$(CARGO) test --locked --features fault --test fault --test model

# The random tests of the watch tree, for about half an hour.
soak:
	DOGWATCH_SEEDS=1000000 $(CARGO) test --release --locked --lib simulation -- --nocapture
	DOGWATCH_WILD=1 DOGWATCH_SEEDS=10000 $(CARGO) test --locked --test model -- --nocapture
	DOGWATCH_WILD=1 DOGWATCH_SEEDS=10000 $(CARGO) test --locked --features fault --test model -- --nocapture

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --features fault -- -D warnings

check: build
	sh tests/install.sh

bench:
	$(CARGO) bench --locked

install:
	install -D -m 755 target/release/dogwatch $(DESTDIR)$(PREFIX)/bin/dogwatch
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/dogwatch/README.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/dogwatch/examples examples/*.conf

clean:
	$(CARGO) clean
