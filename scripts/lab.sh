#!/usr/bin/env bash
# A lab on one machine: `up N` makes N hosts as network namespaces with a cluster on them; see test/lab/cli.ts for the verbs.
set -euo pipefail
export SKIFF_LAB_FROM=$PWD
. "$(dirname "$0")/setup.sh"
need_node
need_packages runc:runc conmon:conmon nft:nftables ip:iproute2 nsenter:util-linux busybox:busybox docker-registry:docker-registry kubectl:kubernetes-client
need_npm_packages
need_generated
need_binary
exec node test/lab/cli.ts "$@"
