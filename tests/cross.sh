#!/bin/sh
# Unit tests built for 64-bit and 32-bit ARM, under qemu-user: of what depends on the machine's word, order of bytes or system
# calls by `make machines`; all of them by `make soak`, with --all.
#
# Tests of the whole binary are not among them, nor those that start themselves: /proc/self/exe is the emulator there.
set -eu
cd "$(dirname "$0")/.."
. tests/kit.sh
for tool in qemu-aarch64-static qemu-arm-static aarch64-linux-gnu-gcc arm-linux-gnueabihf-gcc; do
    command -v $tool >/dev/null || skip "$tool is missing (packages qemu-user-static, gcc-aarch64-linux-gnu, gcc-arm-linux-gnueabihf)"
done
some='sys:: config:: engine::due::tests::clocks jobs::archive::pax jobs::archive::member parts::beneath parts::duration
    parts::lockfile parts::meta parts::publish parts::zone::tests::tzif parts::zone::tests::strings'
[ "${1-}" != --all ] || some=
rust

# unit_tests TARGET PREFIX EMULATOR
unit_tests() {
    variable=CARGO_TARGET_$(echo "$1" | tr a-z- A-Z_)
    # Not as in CI: where the emulator has no openat2, what compares it with the other way is skipped. The simulation has had its
    # many seeds without an emulator.
    env -u CI DOGWATCH_SEEDS="${DOGWATCH_SEEDS:-200}" "${variable}_LINKER=$2-gcc" "${variable}_RUNNER=$3 -L /usr/$2" \
        cargo test $std --locked --lib --target "$1" --target-dir "${CARGO_TARGET_DIR:-target}/cross" -- $some --skip ten_thousand_levels
}
unit_tests aarch64-unknown-linux-gnu aarch64-linux-gnu qemu-aarch64-static
unit_tests armv7-unknown-linux-gnueabihf arm-linux-gnueabihf qemu-arm-static
