#!/usr/bin/env bash
# Pods of all sorts created and deleted on one node, with random kills of agent and server; ends with 1 if anything leaked. As root; not part of scripts/test.sh.
#   scripts/soak.sh [--pods N] [--seed S] [--every MS] [--minutes M]      default: 1,000 pods, seed 1, a kill every 6 s, however long it takes
set -euo pipefail
. "$(dirname "$0")/setup.sh"
[ "$(id -u)" = 0 ] || fail "run this as root: the lab makes network namespaces"
need_node
need_packages runc:runc conmon:conmon nft:nftables ip:iproute2 nsenter:util-linux busybox:busybox docker-registry:docker-registry kubectl:kubernetes-client
need_npm_packages
need_generated
[ -n "${SKIFF_BINARY:-}" ] || need_binary
exec node test/soak/soak.ts "$@"
