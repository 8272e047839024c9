#!/usr/bin/env bash
# Makes the disk that guests start from: Debian with systemd, runc and crun, as disk.ext4, vmlinuz and initrd.img in the directory given; in busybox/ what images for it are made of. Run by scripts/guest-test.sh.
# Nothing of skiff is in it (that comes on a second disk, see run-commands.sh), so one disk serves every build.
set -euo pipefail
arch=$1
out=$2
fail() { printf 'skiff: %s\n' "$*" >&2; exit 1; }

new=$out.new
rm -rf --one-file-system "$new"
mkdir -p "$new"
trap 'rm -rf --one-file-system "$new"' EXIT
packages=systemd-sysv,udev,dbus,linux-image-cloud-$arch,runc,crun,conmon,apparmor,nftables,iproute2,busybox,kmod,util-linux,mount,ca-certificates,libatomic1,libstdc++6,procps
# A file server for volumes; where each package is set up by emulated programs, it is not worth its minutes.
[ "$arch" != amd64 ] || packages+=,nfs-kernel-server
mmdebstrap --quiet --arch="$arch" --variant=minbase --include="$packages" bookworm "$new/root" || fail "mmdebstrap could not make a Debian root: its words are above"

cp "$new"/root/boot/vmlinuz-* "$new/vmlinuz"
cp "$new"/root/boot/initrd.img-* "$new/initrd.img"
rm -rf "$new"/root/boot/* "$new"/root/var/cache/apt/* "$new"/root/var/lib/apt/lists/* "$new"/root/usr/share/doc/*
cd "$new/root"
# What test images for this architecture are made of.
for file in bin/busybox lib/*-linux-gnu/libc.so.6 lib/*-linux-gnu/libresolv.so.2 lib/ld-linux-*.so.* lib64/ld-linux-*.so.*; do [ ! -e "$file" ] || install -D "$file" "$new/busybox/$file"; done
echo skiff-guest > etc/hostname
echo '127.0.0.1 localhost skiff-guest' > etc/hosts
echo 'nameserver 10.0.2.3' > etc/resolv.conf
echo '/dev/vda / ext4 defaults 0 1' > etc/fstab
mkdir -p cargo etc/systemd/network etc/systemd/system/multi-user.target.wants etc/systemd/system/network-online.target.wants
# The addresses of qemu's user network, which are always the same.
printf '%s\n' '[Match]' 'Name=en* eth*' '[Network]' 'Address=10.0.2.15/24' 'Gateway=10.0.2.2' > etc/systemd/network/10-guest.network
printf '%s\n' '[Unit]' 'Description=Runs what the test on the host asks for' '[Service]' 'ExecStartPre=-/bin/mount -o ro /dev/vdb /cargo' 'ExecStart=/bin/sh /cargo/run-commands.sh' \
  'Restart=always' 'RestartSec=1' 'StartLimitIntervalSec=0' 'KillMode=process' 'TasksMax=infinity' > etc/systemd/system/guest-commands.service
ln -sf /etc/systemd/system/guest-commands.service etc/systemd/system/multi-user.target.wants/guest-commands.service
ln -sf /lib/systemd/system/systemd-networkd.service etc/systemd/system/multi-user.target.wants/systemd-networkd.service
ln -sf /lib/systemd/system/systemd-networkd-wait-online.service etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service
# What only costs the emulated processor time; the file server is started by the test that wants it.
rm -f etc/systemd/system/*.wants/{nfs,rpc}*
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service systemd-timesyncd.service getty@tty1.service; do ln -sf /dev/null "etc/systemd/system/$unit"; done
cd - >/dev/null
mke2fs -q -t ext4 -d "$new/root" "$new/disk.ext4" 4G
rm -rf --one-file-system "$new/root"
rm -rf --one-file-system "$out"
mv "$new" "$out"
