#!/usr/bin/env bash
# Upstream's own integration tests of the API server and of CustomResourceDefinitions (Kubernetes 1.36) against skiff: each of their kube-apiservers is a skiff server without nodes. Not part of scripts/test.sh.
#   scripts/upstream-integration.sh --kubernetes DIR [--run REGEX] [--out DIR] [--keep] [FOLDER...]      FOLDER: as below test/integration, or apiextensions; default: all of test/upstream-integration/folders.ts
# --kubernetes DIR: a source tree of Kubernetes 1.36 with its vendor directory, compiled by Go 1.26 of Debian sid. --keep: what the servers wrote stays.
# Prints what failed and was skipped; ends with 1 if a test failed that test/upstream-integration/expected.ts does not have, or passed that it has.
# The first time takes an hour more: the tests are compiled in node_modules/.cache/skiff-conformance (SKIFF_CONFORMANCE_CACHE=DIR: elsewhere), 8 GB.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
. "$(dirname "$0")/newer-kubernetes.sh"
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || fail "Go is taken from Debian's packages for amd64: run this on such a machine"
need_node
need_npm_packages
need_generated
[ -n "${SKIFF_BINARY:-}" ] || need_binary
source=''; passed_on=()
while [ $# -gt 0 ]; do case $1 in
  --kubernetes) [ -e "${2:-}/test/integration/framework" ] || fail "--kubernetes wants a source tree of Kubernetes: ${2:-nothing} is none"; source=$(realpath "$2"); shift 2 ;;
  *) passed_on+=("$1"); shift ;;
esac; done
[ -n "$source" ] || fail "say where the source of Kubernetes is with --kubernetes DIR"
cache=${SKIFF_CONFORMANCE_CACHE:-$PWD/node_modules/.cache/skiff-conformance}
mkdir -p "$cache"
newer_kubernetes "$source"
exec node test/upstream-integration/main.ts --source "$source" --go "$cache/go126/usr/lib/go-1.26" --cache "$cache" --binary "${SKIFF_BINARY:-dist/skiff}" "${passed_on[@]}"
