#!/bin/sh
# The Debian package, built in a Debian 13 tree by its own cargo, without network (deb/build.sh), and its life under systemd in
# another such tree: installed, configured, upgraded, removed, purged (deb/life.sh). Run by `make check`, and with more tests, by
# --all, by `make soak`; as root. This machine gets nothing of it.
set -eu
cd "$(dirname "$0")/.."
. tests/kit.sh
say() { printf -- '--> %s\n' "$*"; }
all=
[ "${1-}" != --all ] || all=yes
[ "$(id -u)" = 0 ] || skip "other systems are entered as root only"
for tool in mmdebstrap dpkg-deb; do
    command -v $tool >/dev/null || skip "$tool is missing (packages mmdebstrap and dpkg-dev)"
done
scratch=$(mktemp -d)
inner=
groups=
clean_up() {
    status=$?
    trap - EXIT
    if [ -n "$inner" ]; then kill -9 "$inner" 2>/dev/null || :; wait "$inner" 2>/dev/null || :; fi
    if [ -n "$groups" ] && [ -d "$groups" ]; then
        # Those in it die with their first process, but in their own time.
        tries=50
        until find "$groups" -depth -type d -exec rmdir {} + 2>/dev/null || [ $tries = 0 ]; do tries=$((tries - 1)); sleep 0.1; done
    fi
    # What has just been killed may still be there for a moment.
    if mountpoint -q "$scratch"; then umount --lazy "$scratch"; fi
    rm -rf --one-file-system "$scratch"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mount -t tmpfs dogwatch-deb "$scratch"
# systemd needs a part of the control groups.
mkdir "$scratch/cgroup"
mount -t cgroup2 none "$scratch/cgroup" || skip "control groups of version 2 cannot be mounted"
groups=$scratch/cgroup/dogwatch-deb-$$

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
[ "$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)" = "$version" ] || fail "debian/changelog has another version than Cargo.toml"

say "the trees"
cache=$(sh tests/deb/trees.sh)
# What is built is kept there: one run at a time.
exec 9>"$cache/lock"
flock 9
# The crates come from where cargo gets them for everything else; a copy is kept for this Cargo.lock.
vendor=$cache/vendor-$(cksum <Cargo.lock | cut -d ' ' -f 1)
if [ ! -e "$vendor" ]; then
    rm -rf "$vendor.new"
    cargo vendor --quiet --locked "$vendor.new" >/dev/null
    mv "$vendor.new" "$vendor"
fi
mkdir -p "$cache/target"

# enter TREE PROGRAM...: runs it there as the first process of namespaces of its own, without network. The tree itself stays as
# it is: changes go to $scratch/TREE/up, where that what it is to find is put before. What is built is kept.
enter() {
    mkdir -p "$scratch/$1/up" "$scratch/$1/work" "$scratch/$1/root"
    TREE=$cache/$1 LAYER=$scratch/$1 VENDOR=$vendor TARGET=$cache/target
    ALL=$all
    export TREE LAYER VENDOR TARGET GROUP ALL
    shift
    [ -z "$GROUP" ] || mkdir "$GROUP"
    exec sh -euc '
        [ -z "$GROUP" ] || echo $$ >"$GROUP/cgroup.procs"
        exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child "$@"
    ' sh sh -euc '
        mount --make-rprivate /
        mount -t overlay tree -o "lowerdir=$TREE,upperdir=$LAYER/up,workdir=$LAYER/work" "$LAYER/root"
        cd "$LAYER/root"
        if [ -d build ]; then
            mount --bind "$VENDOR" build/dogwatch/vendor
            mount -o remount,bind,ro build/dogwatch/vendor
            mount --bind "$TARGET" build/dogwatch/target
        fi
        mount -t proc proc proc
        mount -t tmpfs -o mode=755 run run
        mount -t tmpfs tmp tmp
        mount -t tmpfs -o mode=755 dev dev
        for name in null zero full random urandom tty; do cp -a /dev/$name dev/; done
        : >dev/console
        ln -s /proc/self/fd dev/fd
        mkdir dev/shm dev/pts
        mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
        ln -s pts/ptmx dev/ptmx
        if [ -n "$GROUP" ]; then
            mount -t sysfs -o ro sys sys
            mount -t cgroup2 groups sys/fs/cgroup
        fi
        mkdir -p old
        pivot_root . old
        umount --lazy old
        rmdir old
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 container=dogwatch ALL="$ALL" "$@"
    ' sh "$@"
}

mkdir -p "$scratch/build/up/build/dogwatch/target" "$scratch/build/up/build/dogwatch/vendor"
tar -c --exclude ./target --exclude ./vendor --exclude ./.git . | tar -x -C "$scratch/build/up/build/dogwatch"
(GROUP= enter build sh -eu /build/dogwatch/tests/deb/build.sh) &
inner=$!
wait "$inner" || fail "it has failed"
inner=

say "what is in it"
deb=$cache/target/debian/dogwatch_${version}_$(dpkg --print-architecture).deb
dpkg-deb --raw-extract "$deb" "$scratch/deb"
doc=usr/share/doc/dogwatch
for file in usr/bin/dogwatch etc/dogwatch/dogwatch.conf etc/dogwatch/conf.d etc/init.d/dogwatch \
    usr/lib/systemd/system/dogwatch.service usr/lib/systemd/system/dogwatch-collect.service \
    usr/lib/systemd/system/dogwatch-collect@.service usr/share/bash-completion/completions/dogwatch \
    $doc/copyright $doc/changelog.gz $doc/CHANGELOG.md* $doc/README.md* $doc/man/model.svg \
    $doc/examples/demo.conf $doc/examples/sandbox.conf; do
    ls -d "$scratch/deb"/$file >/dev/null || fail "not in the package: $file"
done
for page in man/*.[1-8]; do
    [ -e "$scratch/deb/usr/share/man/man${page##*.}/${page#man/}.gz" ] || fail "not in the package: $page"
done
[ ! -e "$scratch/deb/lib" ] || fail "there is a /lib in it"
grep -q '^Description-de.UTF-8: Soll ein Sammler' "$scratch/deb/DEBIAN/templates" || fail "the questions are not translated"
# Without the # before them the lines of the configuration make one that holds.
sed -n 's/^#\([^ ]\)/\1/p' "$scratch/deb/etc/dogwatch/dogwatch.conf" >"$scratch/uncommented.conf"
checked=$("$scratch/deb/usr/bin/dogwatch" check -c "$scratch/uncommented.conf" 2>&1) || :
[ "$checked" = "configuration OK" ] || fail "the configuration that is offered: $checked"

# Older and newer packages are this one under other versions; the older one has another default configuration.
packages=$scratch/deb-files
mkdir "$packages"
cp "$deb" "$packages/now.deb"
repack() {
    sed -i "s/^Version: .*/Version: $2/" "$scratch/deb/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone --build "$scratch/deb" "$packages/$1.deb" >/dev/null
    echo "$2" >"$packages/$1"
}
echo "$version" >"$packages/now"
repack next "$version.1"
echo '# of an older version' >>"$scratch/deb/etc/dogwatch/dogwatch.conf"
repack last "$version~last"

# Runs a script in the tree "run", as it is when that is entered, with this first process.
live() {
    say "deb/$1.sh"
    up=$scratch/run/up
    rm -rf "$scratch/run"
    mkdir -p "$up/test" "$up/etc/systemd/system/multi-user.target.wants"
    cp tests/deb/*.sh "$up/test/"
    cp -r "$packages" "$up/deb"
    : >"$up/test/out"
    printf '#!/bin/sh\nexec >/test/out 2>&1\nsh /test/%s.sh\necho $? >/test/status\n' "$1" >"$up/test/run"
    printf '[Service]\nExecStart=/bin/sh /test/run\n' >"$up/etc/systemd/system/test.service"
    ln -s ../test.service "$up/etc/systemd/system/multi-user.target.wants/"
    ln -s /dev/null "$up/etc/systemd/system/console-getty.service"
    GROUP=$2
    shift 2
    (enter run "$@" </dev/null >"$scratch/console" 2>&1) &
    inner=$!
    tries=3000
    while [ ! -s "$up/test/status" ] && [ $tries -gt 0 ] && kill -0 "$inner" 2>/dev/null; do tries=$((tries - 1)); sleep 0.1; done
    cat "$up/test/out"
    [ -s "$up/test/status" ] || { tail -n 30 "$scratch/console" >&2; fail "it came to no end"; }
    [ "$(cat "$up/test/status")" = 0 ] || fail "it has failed"
    kill -9 "$inner" 2>/dev/null || :
    wait "$inner" 2>/dev/null || :
    inner=
}
live life "$groups" /sbin/init systemd.unit=multi-user.target
live plain "" sh -c 'sh /test/run; exec sleep 999'
