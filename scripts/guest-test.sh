#!/usr/bin/env bash
# skiff on a machine of its own: boots Debian (cgroup v2, systemd, runc and crun) in an emulator and tries there what this machine's kernel cannot show. Takes about a quarter of an hour, so test.sh does not run it.
# Arguments are test files; default: all of test/guest. SKIFF_GUEST_ACCEL=kvm where that works; SKIFF_GUEST_KEEP=1 keeps disk and consoles.
set -euo pipefail
. "$(dirname "$0")/setup.sh"

[ "$(id -u)" = 0 ] || fail "run this as root: the guest's disk is made of root's files"
[ "$(uname -m)" = x86_64 ] || fail "guests are x86-64, and so must be the binary that is built here: run this on x86-64"
need_node
need_packages qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils mmdebstrap:mmdebstrap mke2fs:e2fsprogs busybox:busybox docker-registry:docker-registry script:bsdutils python3:python3 make:make g++:g++ strip:binutils kubectl:kubernetes-client
need_npm_packages
need_generated
[ -n "${SKIFF_BINARY:-}" ] || need_binary

# Kept for the next time; another recipe is another disk.
disk=$PWD/node_modules/.cache/skiff-guest/amd64-$(sha256sum test/guest/make-disk.sh | cut -c1-12)
if [ ! -e "$disk/disk.ext4" ]; then
  say "==> making the guest's disk: Debian, from the mirror"
  mkdir -p "$(dirname "$disk")"
  bash test/guest/make-disk.sh amd64 "$disk"
fi
export SKIFF_GUEST_DISK=$disk
[ $# -gt 0 ] || set -- 'test/guest/*.guest.ts'
exec node scripts/run-tests.ts --whole "$@"
