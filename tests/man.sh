#!/bin/sh
# The manual pages are well-formed, for mandoc and for groff, and refer to pages that exist. Run by `make check`.
set -eu
cd "$(dirname "$0")/.."
fail() { echo "man.sh: $*" >&2; exit 1; }
for tool in mandoc groff man; do
    if ! command -v $tool >/dev/null; then
        echo "SKIPPED: man.sh: $tool is missing (packages mandoc, groff and man-db)"
        [ -z "${CI-}" ] && exit 0 || exit 1
    fi
done
for page in man/*.[1-8]; do
    # That pages are not installed, ours and others', is no fault of this one; ours are looked at below.
    faults=$(mandoc -T lint "$page" 2>/dev/null | grep -v 'STYLE: referenced manual not found: ') || :
    [ -z "$faults" ] || fail "$faults"
    # It exits with 0 whatever it says.
    faults=$(groff -ww -mandoc -Tutf8 -z "$page" 2>&1)
    [ -z "$faults" ] || fail "$page: $faults"
    for other in $(sed -n 's/^\.Xr \(dogwatch[^ ]*\) \([1-8]\).*/\1.\2/p' "$page"); do
        [ -e "man/$other" ] || fail "$page: there is no $other"
    done
    for section in ENVIRONMENT FILES 'EXIT STATUS' EXAMPLES DIAGNOSTICS 'SEE ALSO'; do
        grep -qx ".Sh $section" "$page" || fail "$page: no $section"
    done
    [ "$(MANWIDTH=80 man -l "$page" 2>/dev/null | wc -l)" -gt 50 ] || fail "$page: man shows nothing"
    echo "$page is well-formed"
done
