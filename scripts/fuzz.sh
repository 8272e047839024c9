#!/usr/bin/env bash
# Sends made-up requests to the API for a time: `fuzz.sh SECONDS [SEED]`. What breaks it is printed with the seed that repeats it.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
need_node
need_npm_packages
need_generated
exec node test/fuzz/cli.ts "$@"
