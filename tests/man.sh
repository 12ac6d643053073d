#!/bin/sh
# The manual pages are well-formed, for mandoc and for groff. Run by `make check`.
set -eu
cd "$(dirname "$0")/.."
for tool in mandoc man; do
    if ! command -v $tool >/dev/null; then
        echo "SKIPPED: man.sh: $tool is missing (packages mandoc and man-db)"
        [ -z "${CI-}" ] && exit 0 || exit 1
    fi
done
for page in man/*; do
    mandoc -T lint -W warning "$page"
    warnings=$(MANWIDTH=80 man --warnings -l "$page" 2>&1 >/dev/null)
    [ -z "$warnings" ] || { echo "man.sh: $page: $warnings" >&2; exit 1; }
    [ "$(MANWIDTH=80 man -l "$page" 2>/dev/null | wc -l)" -gt 50 ] || { echo "man.sh: $page: man shows nothing" >&2; exit 1; }
    echo "$page is well-formed"
done
