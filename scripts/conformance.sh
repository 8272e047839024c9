#!/usr/bin/env bash
# Upstream's end-to-end suite (Kubernetes 1.20, from Debian bookworm's source package, or a newer one) against a lab cluster with real containers. As root; not part of scripts/test.sh.
#   scripts/conformance.sh [--kubernetes DIR] [--focus REGEX] [--skip REGEX] [--nodes HOSTS] [--servers N] [--procs N] [--lab FILE] [--out DIR]      default focus: \[Conformance\]
#   scripts/conformance.sh --up [--nodes HOSTS] [--servers N] [--lab FILE]     only starts a lab with the images; then --lab FILE runs against it, and SKIFF_LAB_STATE=FILE scripts/lab.sh reaches it
# --kubernetes DIR: the suite of this source tree of Kubernetes (1.36, with its vendor directory), compiled by Go 1.26 of Debian sid; with it kubectl and the images of the same version.
# --node: with --kubernetes, its suite for nodes (test/e2e_node) on a cluster of one host; but for tests that want to be alone.
# --node --serial: those, which also start the node anew and with another configuration, on a node beside its server; hours.
# --servers N: the first N hosts are servers of one cluster, and the suite asks one that follows (give it again with --lab).
# Prints what passed, failed and did not run; ends with 1 if a test failed that test/conformance/expected.ts does not have, or passed that it has.
# The first time takes half an hour: Go's compiler and the suite are compiled in node_modules/.cache/skiff-conformance (SKIFF_CONFORMANCE_CACHE=DIR: elsewhere), 4 GB.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
. "$(dirname "$0")/newer-kubernetes.sh"
[ "$(id -u)" = 0 ] || fail "run this as root: the lab makes network namespaces"
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || fail "the images are made of Debian's packages for amd64: run this on such a machine"
need_node
need_packages runc:runc conmon:conmon curl:curl nft:nftables ip:iproute2 nsenter:util-linux busybox:busybox docker-registry:docker-registry kubectl:kubernetes-client gcc:gcc dpkg-source:dpkg-dev
need_npm_packages
need_generated
[ -n "${SKIFF_BINARY:-}" ] || need_binary

cache=${SKIFF_CONFORMANCE_CACHE:-$PWD/node_modules/.cache/skiff-conformance}
source=$cache/gopath/src/k8s.io/kubernetes
suite=$cache
newer=''; node=''; serial=''; passed_on=()
while [ $# -gt 0 ]; do case $1 in
  --kubernetes) [ -e "${2:-}/test/e2e/e2e_test.go" ] || fail "--kubernetes wants a source tree of Kubernetes: ${2:-nothing} is none"; newer=$(realpath "$2"); shift 2 ;;
  --node) node=1; passed_on+=("$1"); shift ;;
  --serial) serial=1; passed_on+=("$1"); shift ;;
  *) passed_on+=("$1"); shift ;;
esac; done
[ -z "$node" ] || [ -n "$newer" ] || fail "--node wants --kubernetes DIR: the suite of 1.20 for nodes starts a kubelet of its own"
[ -z "$serial" ] || [ -n "$node" ] || fail "--serial is for --node"
mkdir -p "$suite/bin"
[ -z "$newer" ] || newer_kubernetes "$newer"

# compiled NAME PACKAGE [test]: suite/bin/NAME.
compiled() {
  if [ -n "$newer" ]; then compiled_newer "$@"; return; fi
  [ ! -e "$suite/bin/$1" ] || return 0
  say "==> compiling $2"
  local how=(build) go=$cache/go119/usr/lib/go-1.19
  [ "${3:-}" != test ] || how=(test -vet=off -overlay "$cache/edits/overlay.json" -c)
  (cd "$source" && env GOROOT="$go" GOPATH="$cache/gopath" GOCACHE="$cache/gocache" GO111MODULE=off GOFLAGS='' GOTOOLCHAIN=local CGO_ENABLED=0 nice -n 10 "$go/bin/go" "${how[@]}" -o "$suite/bin/$1.new" "$2") || fail "$2 does not compile: see above"
  mv "$suite/bin/$1.new" "$suite/bin/$1"
}

if [ -z "$newer" ]; then
  need_source
  [ -e "$cache/go119/usr/lib/go-1.19/bin/go" ] || need_unpacked bookworm go119 '^golang-1.19-(go|src)$' golang-1.19-go
fi
need_unpacked bookworm tools '.' bash curl bind9-dnsutils netcat-openbsd iproute2 iperf libc-bin util-linux dnsmasq-base wget
need_unpacked bookworm coreutils '^coreutils$' coreutils
need_unpacked bookworm httpd '^(apache2-bin|lib.*|zlib1g)$' apache2-bin
need_unpacked bookworm nginx '^(nginx|lib.*|zlib1g)$' nginx
need_unpacked bookworm redis '^(redis-.*|lib.*|zlib1g)$' redis-server
need_unpacked bookworm etcd '^(etcd-server|lib.*)$' etcd-server

if [ -n "$newer" ]; then
  compiled e2e.test ./test/e2e test
  [ -z "$node" ] || compiled e2e_node.test ./test/e2e_node test
  compiled ginkgo ./vendor/github.com/onsi/ginkgo/v2/ginkgo
  compiled kubectl ./cmd/kubectl
  compiled sample-apiserver ./staging/src/k8s.io/sample-apiserver
  compiled sample-device-plugin ./test/images/sample-device-plugin
  # The suite has it of another repository.
  compiled hostpathplugin "$PWD/test/conformance/hostpathplugin.go"
else
  need_unpacked bookworm kubectl '^kubernetes-client$' kubernetes-client
  if [ ! -e "$source/test/e2e/generated/bindata.go" ]; then
    compiled go-bindata ./vendor/github.com/go-bindata/go-bindata/go-bindata
    (cd "$source" && "$suite/bin/go-bindata" -nometadata -o test/e2e/generated/bindata.go -pkg generated -ignore .jpg -ignore .png -ignore .md -ignore 'BUILD(\.bazel)?' \
      test/conformance/testdata/... test/e2e/testing-manifests/... test/e2e_node/testing-manifests/... test/images/... test/fixtures/...)
  fi
  node test/conformance/edits.ts "$source" "$cache/edits"
  [ -z "$(find test/conformance/edits.ts -newer "$suite/bin/e2e-edited.test" 2>/dev/null)" ] || rm -f "$suite/bin/e2e-edited.test"
  compiled e2e-edited.test ./test/e2e test
  compiled ginkgo ./vendor/github.com/onsi/ginkgo/ginkgo
  compiled sample-apiserver ./vendor/k8s.io/sample-apiserver
fi
compiled agnhost ./test/images/agnhost
compiled nnp ./test/images/nonewprivs
compiled regression-issue-74839 ./test/images/regression-issue-74839
compiled consumer ./test/images/resource-consumer
compiled consume-cpu ./test/images/resource-consumer/consume-cpu
[ -e "$suite/bin/pause" ] || gcc -Os -static -DVERSION=3.2 -o "$suite/bin/pause" "$source/build/pause/linux/pause.c"
node test/conformance/images.ts "$cache" "$suite" "$source"
export SKIFF_CONFORMANCE_CACHE=$cache
[ -z "$newer" ] || passed_on+=(--suite "$suite" --source "$source")
exec node test/conformance/main.ts "${passed_on[@]}"
