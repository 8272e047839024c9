#!/usr/bin/env bash
# Real servers under kills, pauses and partitions, and whether what their clients saw could have been one store: `linearizability.sh MINUTES [SEED] [SERVERS]`, three servers from seed 1 unless told. Ends at the first fault; its history is kept.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_node
need_packages nft:nftables ip:iproute2 nsenter:util-linux busybox:busybox docker-registry:docker-registry kubectl:kubernetes-client
need_npm_packages
need_generated
need_binary
exec node test/linearizability/cli.ts "$@"
