#!/usr/bin/env bash
# The runtime contract and a whole node on Debian bookworm's containerd, unpacked in node_modules/.cache/skiff-containerd, not installed. As root. SKIFF_DEBIAN_MIRROR=URL: another mirror than deb.debian.org.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
[ "$(id -u)" = 0 ] || fail "run this as root: containers need it"
need_node
need_packages runc:runc conmon:conmon nft:nftables ip:iproute2 nsenter:util-linux busybox:busybox docker-registry:docker-registry kubectl:kubernetes-client
need_npm_packages
need_generated
[ -n "${SKIFF_BINARY:-}" ] || need_binary

need_containerd
[ $# -gt 0 ] || set -- cri/grpc/containerd.test.ts test/whole/external-runtime.test.ts
exec node scripts/run-tests.ts --whole "$@"
