#!/bin/sh
# What the machine of boot.sh does: `begin` before its services start, then the phase that it was booted for, and says how that
# has ended by @@END STATUS, or by @@CUT that its power may be cut. On /disk is what has to outlive that.
set -eu
service=/disk/backup/logs/backup_service.log
backups=/disk/backup/backups
spool=/disk/spool
tell() { echo "[$(cut -d ' ' -f 1 /proc/uptime)] $*" >/dev/ttyS0; }
fail() {
    tell "guest.sh: $*"
    { date; ls -lA /disk /disk/backup $backups $spool $spool/tmp; df /disk; cat $service; tail -n 40 /run/log; } >/dev/ttyS0 2>&1
    echo '@@END 1' >/dev/ttyS0
    poweroff -f
}
# Waits for a condition, for two minutes at the most.
await() {
    tries=1200
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "never: $*"
        sleep 0.1
    done
}
count() { cat $service 2>/dev/null | grep -c -e "$1" || :; }
told() { [ "$(count "$1")" = 1 ]; }
# done_times NAME N - so many backups of this name have been made.
done_times() { [ "$(count "Backup done for src in backups/$1.tar")" = "$2" ]; }
# looked_at SECOND - the service has looked at its schedules at or after this instant, and not more than a minute later.
looked_at() {
    last=$(sed -n 's/^last //p' /disk/backup/.backup_runs 2>/dev/null)
    [ -n "$last" ] && [ "$last" -ge "$1" ] && [ "$last" -lt $(($1 + 60)) ]
}
# set_clock TIME - and waits until the service has seen it.
set_clock() {
    tell "the clock: $1"
    date -s "$1" >/dev/null
    await looked_at "$(date -d "$1" +%s)"
}
sums() { sha256sum "$@" | cut -d ' ' -f 1; }

# Each archive is whole, and has in it what was there: whenever it was made, and however that has ended.
look() {
    for backup in $backups/*.tar; do
        [ -e "$backup" ] || continue
        tar -tzf "$backup" >/dev/null || fail "$backup is damaged"
        for file in data text; do
            tar -xzOf "$backup" src/$file | cmp -s - /disk/backup/src/$file || fail "$backup: src/$file is not what it was"
        done
    done
    sha256sum -c /disk/sources >/dev/null || fail "the backups' source is not what it was"
    for file in /disk/out/*; do
        [ ! -e "$file" ] || cmp -s "$file" /disk/backup/src/data || fail "$file is not what was moved there"
    done
    # What was to be collected is where it came, is claimed, or is in an archive.
    rm -rf /tmp/look
    mkdir /tmp/look
    number=0
    for archive in $spool/files*.tar.gz; do
        [ -e "$archive" ] || continue
        number=$((number + 1))
        mkdir /tmp/look/$number
        tar -xzf "$archive" -C /tmp/look/$number || fail "$archive is damaged"
    done
    find $spool/tmp /tmp/look -type f -exec sha256sum {} + | cut -d ' ' -f 1 | sort -u >/tmp/there
    while read -r sum; do grep -q "$sum" /tmp/there || fail "a file that was to be collected is lost"; done </disk/collect
    rm -rf /tmp/look
}

begin() {
    /bin/busybox --install -s
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev
    mount -t tmpfs -o mode=1777 tmp /tmp
    mount -t tmpfs -o mode=755 run /run
    mkdir /run/in
    mount -t ext4 /dev/nvme0n1 /disk
    if [ ! -e /disk/collect ]; then
        mkdir -p /disk/backup/src $backups $spool/tmp /disk/out
        dd if=/dev/urandom of=/disk/backup/src/data bs=1M count=2 2>/dev/null
        seq 100000 >/disk/backup/src/text
        sha256sum /disk/backup/src/* >/disk/sources
        cat >/disk/backup/backup_schedules.txt <<-I
	src;12:00;noon
	src;13:00;late;catchup=2h
	src;14:00;unseen
	src;20:00;there
	src;16:00;slept
	src;17:00;kept;keep=3
	I
        : >/disk/collect
        sync
    fi
    if grep -q ' begun ' /disk/backup/.backup_runs 2>/dev/null; then
        touch /run/cut-off /disk/cut-off
        sync
    fi
    look
}

# to_collect N - files of 300 KiB, on disk and written down before they may be lost; the collector wants ten.
to_collect() {
    n=0
    while [ $n -lt "$1" ]; do
        n=$((n + 1))
        dd if=/dev/urandom of=/disk/$phase-$(date +%d)-$n bs=100k count=3 2>/dev/null
    done
    sums /disk/$phase-* >>/disk/collect
    sync
    mv /disk/$phase-* $spool/tmp
}
# Renamed there, so that nobody still has it open.
to_move() {
    cp /disk/backup/src/data /run/new
    mv /run/new "/run/in/$1"
}
all_collected() { [ -z "$(find $spool/tmp -type f 2>/dev/null)" ]; }

clocks() {
    await looked_at "$(date -d '2026-03-02 11:00:00' +%s)"
    tell "a step forward, into the minute of a backup"
    set_clock '2026-03-02 12:00:10'
    await done_times noon 1
    tell "a step back: the same minute comes again, and the backup does not"
    set_clock '2026-03-02 11:59:57'
    await looked_at "$(date -d '2026-03-02 12:00:00' +%s)"
    tell "steps over backups: one is made up for, one is told of"
    set_clock '2026-03-02 13:30:00'
    await done_times late 1
    set_clock '2026-03-02 14:30:10'
    told 'backup missed for src on 2026-03-02' || fail "no word of what was missed"
    tell "another zone, in which it is 20:00 now"
    cp /rig/zones/Kolkata /etc/localtime
    await done_times there 1
    tell "and back: it is 14:30 again"
    rm /etc/localtime
    tell "sleep, from which the hardware's clock wakes it at 16:00"
    set_clock '2026-03-02 15:59:56'
    hwclock -w -u
    echo +8 >/sys/class/rtc/rtc0/wakealarm
    echo mem >/sys/power/state || fail "it cannot sleep"
    await done_times slept 1
    tell "the next day"
    set_clock '2026-03-03 12:00:20'
    await done_times noon 2
    for name in late there slept; do done_times $name 1 || fail "$name was made again"; done
    done_times unseen 0 || fail "what was missed was made"
    tell "a clock that was days ahead is set right"
    set_clock '2026-03-12 09:00:00'
    set_clock '2026-03-04 12:00:10'
    await done_times noon 3
    look
}

full() {
    to_collect 9
    old=$(sums $backups/noon.tar)
    dd if=/dev/urandom of=/run/tenth bs=100k count=3 2>/dev/null
    sums /run/tenth >>/disk/collect
    sync
    tell "the disk is full, but for a little"
    dd if=/dev/zero of=/disk/spare bs=64k count=8 2>/dev/null
    dd if=/dev/zero of=/disk/fill bs=64k 2>/dev/null && fail "it is not full"
    rm /disk/spare
    sync
    set_clock '2026-03-05 12:00:10'
    await told 'Backup failed for src: .*No space left'
    [ "$(sums $backups/noon.tar)" = "$old" ] || fail "the older backup is not what it was"
    cp /run/tenth $spool/tmp
    await grep -q 'collector spool.*failed.*No space left' /run/log
    to_move moved
    await grep -q 'move#.*No space left' /run/log
    cmp /run/in/moved /disk/backup/src/data || fail "what cannot be moved is not what it was"
    look
    tell "there is space again"
    rm /disk/fill
    await all_collected
    mv /run/in/moved /run/moved
    mv /run/moved /run/in/moved
    await cmp -s /disk/out/moved /disk/backup/src/data
    await [ ! -e /run/in/moved ]
    set_clock '2026-03-06 11:00:00'
    look
}

cut_backup() {
    set_clock "$(date +%Y-%m-%d) 12:00:05"
    until ls -A $backups | grep -q '^\.dogwatch-'; do :; done
    tell "a backup is being made"
    echo @@CUT >/dev/ttyS0
    sleep 1000
}

cut_collect() {
    await all_collected
    to_collect 10
    until ls -A $spool | grep -q '^\.dogwatch-'; do :; done
    tell "files are being collected"
    echo @@CUT >/dev/ttyS0
    sleep 1000
}

# What is done stays done: in these seconds the file system writes down names, and not by itself the bytes of new files.
cut_after() {
    to_collect 10
    set_clock "$(date +%Y-%m-%d) 17:00:05"
    await told 'Backup done for src in backups/kept-'
    await all_collected
    to_move late
    await cmp -s /disk/out/late /disk/backup/src/data
    await [ ! -e /run/in/late ]
    tell "a backup is made, files are collected, and one is moved"
    echo @@CUT >/dev/ttyS0
    sleep 1000
}

end() {
    await all_collected
    look
    [ -e /disk/out/late ] || fail "what was moved is not there"
    [ -e /disk/cut-off ] || fail "no backup was cut off"
    made=$(count 'Backup done for src in backups/noon.tar')
    set_clock "$(date +%Y-%m-%d) 12:00:05"
    await done_times noon $((made + 1))
    [ -z "$(ls -A $backups $spool | grep '^\.dogwatch-')" ] || fail "something is left over"
    mkdir /disk/tmp
    mount -o bind /disk/tmp /tmp
    sh /rig/smoke.sh /bin/dogwatch >/dev/ttyS0 2>&1 || fail "smoke.sh"
    look
}

if [ "${1-}" = begin ]; then
    begin
    exit
fi
phase=$(sed 's/.*phase=\([a-z-]*\).*/\1/' /proc/cmdline)
# It is told at once: what the log says is not synced, and may be lost by the next cut.
[ ! -e /run/cut-off ] || await grep -q 'Backup failed for src: it was cut off' $service
case $phase in
    cut-backup) cut_backup ;;
    cut-collect) cut_collect ;;
    cut-after) cut_after ;;
    *) $phase ;;
esac
echo '@@END 0' >/dev/ttyS0
poweroff
