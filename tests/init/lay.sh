# What is laid over the system of an init, to be sourced with $init, $trees (of trees.sh), $dogwatch and $work, in this directory:
# the program, and /rig, whose `run` is a service of that init and does what service.sh says. Sets $tree, the system; $over and
# $rig, what lies over it and in /rig; and $first, what is to be process 1.
tree=$trees/$init
# There is no package of it: its programs are put into the smallest of the systems.
[ "$init" != dinit ] || tree=$trees/s6

# What is in /rig within, and what lies over the tree.
mkdir -p "$work/rig" "$work/over/usr/bin" "$work/over/etc" "$work/over/rig"
rig=$work/rig over=$work/over
cp "$trees/busybox/busybox" service.sh "$rig"
cp "$dogwatch" "$over/usr/bin/dogwatch"
: >"$rig/out"
cat >"$rig/run" <<'I'
#!/rig/busybox sh
# Once: some supervisors start again what has ended.
[ ! -e /rig/started ] || exec /rig/busybox sleep 86400
: >/rig/started
exec </dev/null >/rig/out 2>&1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /
status=0
sh /rig/service.sh "$(cat /rig/init)" || status=$?
echo $status >/rig/status.new
mv /rig/status.new /rig/status
I
chmod 755 "$rig/run"
echo "$init" >"$rig/init"
first=/sbin/init
case $init in
    systemd)
        units=$over/etc/systemd/system
        mkdir -p "$units/multi-user.target.wants"
        printf '[Service]\nExecStart=/rig/run\n' >"$units/rig.service"
        ln -s ../rig.service "$units/multi-user.target.wants/"
        ln -s /dev/null "$units/console-getty.service"
        first="/sbin/init systemd.unit=multi-user.target"
        ;;
    sysvinit | openrc)
        sed '/:respawn:.*getty/d' "$tree/usr/share/sysvinit/inittab" >"$over/etc/inittab"
        echo 'rg:2345:once:/rig/run' >>"$over/etc/inittab"
        ;;
    runit)
        mkdir -p "$over/etc/service/rig"
        ln -s /rig/run "$over/etc/service/rig/run"
        ;;
    s6)
        printf '#!/rig/busybox sh\nmkdir -p /run/service/rig && ln -s /rig/run /run/service/rig/run && exec s6-svscan /run/service\n' >"$rig/first"
        chmod 755 "$rig/first"
        first=/rig/first
        ;;
    dinit)
        mkdir -p "$over/etc/dinit.d/boot.d" "$over/usr/sbin"
        cp "$DINIT/dinit" "$DINIT/dinitctl" "$over/usr/sbin/"
        # As its own documentation has it: what is enabled stands in boot.d.
        printf 'type = internal\nwaits-for = rig\nwaits-for.d = boot.d\n' >"$over/etc/dinit.d/boot"
        printf 'type = process\ncommand = /rig/run\n' >"$over/etc/dinit.d/rig"
        first="/usr/sbin/dinit --container"
        ;;
    busybox)
        mkdir -p "$over/bin" "$over/sbin" "$over/usr/sbin" "$over/var/lib"
        cp "$trees/busybox/busybox" "$over/bin/"
        chroot "$over" /bin/busybox --install -s
        printf '::sysinit:/bin/true\n::once:/rig/run\n' >"$over/etc/inittab"
        tree=$work/empty
        mkdir "$tree"
        ;;
esac
