#!/usr/bin/env bash
# Asks skiff and the kube-apiserver of release 1.36 that SKIFF_KUBE_APISERVER names the same, and prints what they answer differently, in groups with an example each. As root, by hand.
#   scripts/oracle.sh [--seed N] [--count N] [--family NAME]... [--kind TEXT]... [--by-kind] [--out FILE]      default: seed 1, 12 changes of each object, all families (test/oracle/families); FILE: each as a line of JSON, known ones, too
set -euo pipefail
. "$(dirname "$0")/setup.sh"
[ "$(id -u)" = 0 ] || fail "run this as root: the lab makes network namespaces"
[ -x "${SKIFF_KUBE_APISERVER:-}" ] || fail "SKIFF_KUBE_APISERVER does not name a kube-apiserver: build one of release 1.36 from upstream's source (go build ./cmd/kube-apiserver)"
need_node
need_packages ip:iproute2 nsenter:util-linux busybox:busybox docker-registry:docker-registry kubectl:kubernetes-client etcd:etcd-server
need_npm_packages
need_generated
[ -n "${SKIFF_BINARY:-}" ] || need_binary
exec node test/oracle/main.ts "$@"
