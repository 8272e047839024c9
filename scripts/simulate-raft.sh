#!/usr/bin/env bash
# Simulates Raft clusters on bad days: `simulate-raft.sh [SEEDS] [FIRST]`, 1000 from seed 1 unless told. Ends at the first seed that fails; one seed alone tells all that happens.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_node
need_npm_packages
exec node server/raft/sim/cli.ts "$@"
