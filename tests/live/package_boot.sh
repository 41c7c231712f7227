#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: package_boot.sh FOLDER
#
# Becomes systemd: the first process of a machine whose files are this one's, until it
# writes to them. Its file system, and what it writes, lie in memory below FOLDER. To be run
# in new namespaces of processes, mounts, cgroups, names, IPC and network (package_machine.py).
set -eu

folder=$1
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$folder/root"
cd "$folder/root"

mount -t proc proc proc
# Of the kernel's settings, only the network's are this machine's own.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tracefs tracefs sys/kernel/tracing || true
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp

mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
	touch "dev/$device"
	mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

# Nothing that this machine has switched on, nor what would meddle with it.
# A portsnoop of this machine is not to be seen either.
rm -rf etc/systemd/system var/log/journal usr/sbin/policy-rc.d etc/portsnoop var/lib/portsnoop \
	var/log/portsnoop
mkdir -p etc/systemd/system
for unit in apparmor.service dev-hugepages.mount getty.target keyboard-setup.service \
	networking.service proc-sys-fs-binfmt_misc.automount systemd-binfmt.service \
	systemd-firstboot.service systemd-hwdb-update.service systemd-logind.service \
	systemd-modules-load.service systemd-pstore.service systemd-random-seed.service \
	systemd-remount-fs.service systemd-sysctl.service systemd-timesyncd.service \
	systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
	systemd-udevd.service systemd-update-utmp.service; do
	ln -s /dev/null "etc/systemd/system/$unit"
done
cat >etc/systemd/system/test.target <<'UNIT'
[Unit]
Requires=sysinit.target basic.target
After=sysinit.target basic.target
UNIT

mkdir run/host
pivot_root . run/host
exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb container=other \
	/bin/sh -c 'umount -l /run/host && exec setpriv --bounding-set=-sys_time,-sys_module,-sys_boot \
	/lib/systemd/systemd --unit=test.target --log-target=console --show-status=0'
