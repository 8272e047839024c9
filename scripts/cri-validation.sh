#!/usr/bin/env bash
# critest, the validation suite for container runtimes, on a lab node's embedded runtime over its CRI socket. As root; not part of scripts/test.sh.
#   scripts/cri-validation.sh --cri-tools DIR [--websocket] [--focus REGEX] [--skip REGEX] [--out DIR]
# --cri-tools DIR: a source tree of cri-tools (with its vendor directory), compiled by Go 1.26 of Debian sid in node_modules/.cache/skiff-critest (SKIFF_CRITEST_CACHE=DIR: elsewhere). --websocket: streams by WebSocket instead of SPDY.
# Prints what failed and what was skipped; ends with 1 if a test failed that test/cri-validation/expected.ts does not have, or passed that it has.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
[ "$(id -u)" = 0 ] || fail "run this as root: the lab makes network namespaces"
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || fail "the suite is compiled for amd64: run this on such a machine"
need_node
need_packages runc:runc conmon:conmon nft:nftables ip:iproute2 nsenter:util-linux busybox:busybox docker-registry:docker-registry kubectl:kubernetes-client gcc:gcc ipcs:util-linux pgrep:procps
need_npm_packages
need_generated
[ -n "${SKIFF_BINARY:-}" ] || need_binary

cache=${SKIFF_CRITEST_CACHE:-$PWD/node_modules/.cache/skiff-critest}
source=''; passed_on=()
while [ $# -gt 0 ]; do case $1 in
  --cri-tools) [ -e "${2:-}/cmd/critest" ] || fail "--cri-tools wants a source tree of cri-tools: ${2:-nothing} is none"; source=$(realpath "$2"); shift 2 ;;
  *) passed_on+=("$1"); shift ;;
esac; done
mkdir -p "$cache"
if [ ! -e "$cache/critest" ]; then
  [ -n "$source" ] || fail "critest was not compiled yet: say where its source is with --cri-tools DIR"
  need_unpacked sid go126 '^golang-1.26-(go|src)$' golang-1.26-go
  say "==> compiling critest"
  go=$cache/go126/usr/lib/go-1.26
  (cd "$source" && GOROOT=$go GOPATH=$cache/none GOCACHE=$cache/go-cache GOFLAGS=-mod=vendor GOPROXY=off GOTOOLCHAIN=local CGO_ENABLED=0 nice -n 10 "$go/bin/go" test -vet=off -ldflags=-s -c -o "$cache/critest.new" ./cmd/critest) || fail "critest does not compile: see above"
  mv "$cache/critest.new" "$cache/critest"
fi
export SKIFF_CRITEST_CACHE=$cache
exec node test/cri-validation/main.ts "${passed_on[@]}"
