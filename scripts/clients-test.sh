#!/usr/bin/env bash
# Clients that nobody here wrote, against a lab cluster: client-go (Debian trixie's), kubectl 1.20 and the Python client (Debian bookworm's), Prometheus (Debian trixie's), @kubernetes/client-node. As root; the first time takes five minutes, for Go's compiler.
# The packages are unpacked in node_modules/.cache/skiff-clients, not installed. SKIFF_DEBIAN_MIRROR=URL: another mirror than deb.debian.org.
# SKIFF_HELM=PATH: helm 4, SKIFF_OPERATOR=PATH: test/clients/operator built with controller-runtime 0.24, are run as well; they are in no Debian.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
[ "$(id -u)" = 0 ] || fail "run this as root: the lab makes network namespaces"
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || fail "the clients are taken from Debian's packages for amd64: run this on such a machine"
need_node
need_packages runc:runc conmon:conmon nft:nftables ip:iproute2 nsenter:util-linux busybox:busybox docker-registry:docker-registry kubectl:kubernetes-client python3:python3
need_npm_packages
need_generated
[ -n "${SKIFF_BINARY:-}" ] || need_binary

cache=$PWD/node_modules/.cache/skiff-clients

need_unpacked trixie go '^golang-' golang-k8s-client-go-dev golang-1.24-go
need_unpacked bookworm kubectl '^kubernetes-client$' kubernetes-client
need_unpacked trixie prometheus '^prometheus$' prometheus
need_unpacked bookworm python '^python3-[a-z]' python3-kubernetes

export SKIFF_GO_CLIENTS=$cache/go-clients
if [ ! -e "$SKIFF_GO_CLIENTS" ] || [ -n "$(find test/clients/go -newer "$SKIFF_GO_CLIENTS" -name '*.go' -print -quit)" ]; then
  say "==> building test/clients/go (the first time three minutes)"
  (cd test/clients/go && GOROOT=$cache/go/usr/lib/go-1.24 GOPATH=$cache/go/usr/share/gocode GOCACHE=$cache/go-cache GO111MODULE=off GOFLAGS='' GOTOOLCHAIN=local CGO_ENABLED=0 GOMAXPROCS=2 \
    nice -n 10 "$cache/go/usr/lib/go-1.24/bin/go" build -o "$SKIFF_GO_CLIENTS" .) || fail "test/clients/go does not build: see above"
fi
export SKIFF_OLD_KUBECTL=$cache/kubectl/usr/bin/kubectl SKIFF_PYTHON_CLIENT=$cache/python/usr/lib/python3/dist-packages SKIFF_PROMETHEUS=$cache/prometheus/usr/bin/prometheus
[ $# -gt 0 ] || set -- test/clients/go.clients.ts test/clients/servers.clients.ts test/clients/python.clients.ts test/clients/prometheus.clients.ts test/clients/client-node.clients.ts test/clients/helm.clients.ts test/clients/operator.clients.ts test/whole/other-clients.test.ts
exec node scripts/run-tests.ts --whole "$@"
