#!/usr/bin/env bash
# A server under strace, then power cuts at made-up moments of what it wrote: `power-loss.sh [--member] CUTS [SEED] [SYNC_DELAY_MS]`; `--member`: one of three servers, which has to come back to the others, too. Each store that is left must open and hold what was acknowledged.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_node
need_packages strace:strace nft:nftables ip:iproute2 nsenter:util-linux kubectl:kubernetes-client
need_npm_packages
need_generated
need_binary
exec node test/power-loss/cli.ts "$@"
