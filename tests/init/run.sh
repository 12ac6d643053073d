#!/bin/sh
# Each init system as process 1 of new namespaces on this kernel: the static binary is installed there by `dogwatch install`,
# works as a service, is stopped and uninstalled (service.sh). Run by `make check`.
#
# Debian has no package of dinit: DINIT names the directory of a dinit and a dinitctl that were built statically.
set -eu
cd "$(dirname "$0")/../.."
. tests/kit.sh
script=init/run.sh
[ "$(id -u)" = 0 ] || skip "it needs root"
command -v mmdebstrap >/dev/null || skip "mmdebstrap is missing (package mmdebstrap)"

inits="systemd sysvinit openrc runit s6 busybox"
trees=$(sh tests/init/trees.sh $inits)
make --no-print-directory static
dogwatch=$(realpath "${CARGO_TARGET_DIR:-target}/static/dogwatch-gnu")

[ -z "${DINIT-}" ] || inits="$inits dinit"
failed=
for init in $inits; do
    start=$(date +%s%N)
    printf '%s: ' "$init"
    sh tests/init/boot.sh "$init" "$trees" "$dogwatch" || failed="$failed $init"
    end=$(date +%s%N)
    awk "BEGIN { printf \" (%.1f s)\n\", ($end - $start) / 1e9 }"
done
[ -n "${DINIT-}" ] || echo "dinit: NOT TRIED, for Debian has no package of it; DINIT=DIRECTORY names one that was built"
[ -z "$failed" ] || { echo "init/run.sh: failed with:$failed" >&2; exit 1; }
