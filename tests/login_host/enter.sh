#!/bin/sh
# Runs in a mount namespace of its own: a private /run, /dev and /etc with accounts of the test, real
# systemd-journald or rsyslogd, and sshd in the foreground. Nothing of it is seen outside.
# usage: enter.sh FOLDER journal|rsyslog PORT     (FOLDER holds keys, sshd.conf, passwd, shadow, sudoers …)
set -eu
folder=$1 kind=$2 port=$3
mount --make-rprivate /
mkdir -p "$folder/etc.up" "$folder/etc.work" "$folder/journal" "$folder/dev"
mount -t tmpfs tmpfs "$folder/etc.up"
mkdir "$folder/etc.up/up" "$folder/etc.up/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$folder/etc.up/up,workdir=$folder/etc.up/work" /etc
cat "$folder/passwd" >>/etc/passwd
cat "$folder/shadow" >>/etc/shadow
cat "$folder/group" >>/etc/group
install -m 440 "$folder/sudoers" /etc/sudoers
# A wrong password costs two seconds otherwise.
sed -i "s/pam_unix.so nullok/pam_unix.so nullok nodelay/" /etc/pam.d/common-auth
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/boot_id >/etc/machine-id
mount -t tmpfs tmpfs "$folder/dev"
cp -a /dev/null /dev/zero /dev/random /dev/urandom /dev/tty /dev/kmsg "$folder/dev/"
mkdir "$folder/dev/pts" "$folder/dev/shm"
mount --bind "$folder/dev" /dev
mount -t devpts devpts /dev/pts -o newinstance,ptmxmode=0666
ln -s pts/ptmx /dev/ptmx
mount -t tmpfs tmpfs /run
mkdir "$folder/log"
install -m 600 /dev/null "$folder/log/btmp"
touch "$folder/log/wtmp" "$folder/log/lastlog"
mount --bind "$folder/log" /var/log
mkdir -p /run/sshd /run/systemd/journal /run/log/journal /run/lock
mount --bind "$folder/journal" /run/log/journal
case $kind in
journal)
    ln -s /run/systemd/journal/dev-log /dev/log
    /lib/systemd/systemd-journald >"$folder/journald.log" 2>&1 &
    ;;
rsyslog)
    rsyslogd -n -f "$folder/rsyslog.conf" -i "$folder/rsyslog.pid" >"$folder/rsyslog.log" 2>&1 &
    ;;
esac
daemon=$!
trap 'kill $daemon $sshd 2>/dev/null; wait; exit 0' TERM INT
while ! [ -S /dev/log ] && ! [ -S "$(readlink /dev/log || echo /nowhere)" ]; do sleep 0.05; done
/usr/sbin/sshd -D -e -f "$folder/sshd.conf" -p "$port" -o LogLevel=ERROR -E /dev/null -t
/usr/sbin/sshd -D -f "$folder/sshd.conf" -p "$port" &
sshd=$!
echo ready
wait
