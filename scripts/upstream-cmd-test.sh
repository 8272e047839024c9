#!/usr/bin/env bash
# Upstream's own suites for kubectl (test/cmd of Kubernetes 1.20.2, as Debian bookworm's source has them) against skiff: with kubectl 1.20, 1.32 and 1.36, and what
# kubectl has learned since with 1.36. Arguments: names of suites (default: all). Takes half an hour, the first time five minutes more; a table, and 1 if anything is not as expected.
# --kubernetes DIR, before the names: the suites of this source tree of Kubernetes 1.36 (see conformance.sh) with the kubectl and kubectl-convert of the same tree.
# The packages are unpacked in node_modules/.cache/skiff-conformance, not installed. SKIFF_KUBECTL="PATH...": these kubectls instead. SKIFF_JOBS=N: suites at once (default 2).
set -euo pipefail
. "$(dirname "$0")/setup.sh"
. "$(dirname "$0")/newer-kubernetes.sh"
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || fail "the kubectls are taken from Debian's packages for amd64: run this on such a machine"
need_node
need_packages curl:curl jq:jq openssl:openssl tput:ncurses-bin file:file dpkg-source:dpkg-dev
need_npm_packages
need_generated
[ -n "${SKIFF_BINARY:-}" ] || need_binary
cache=${SKIFF_CONFORMANCE_CACHE:-$PWD/node_modules/.cache/skiff-conformance}
source=$cache/gopath/src/k8s.io/kubernetes
mkdir -p "$cache/bin"
release=1.20
if [ "${1:-}" = --kubernetes ]; then
  [ -e "${2:-}/test/cmd/legacy-script.sh" ] || fail "--kubernetes wants a source tree of Kubernetes: ${2:-nothing} is none"
  newer_kubernetes "$(realpath "$2")"; shift 2
else
  need_source
fi

# Debian's binary of 1.20 panics wherever it writes a map: it was built with a Go that its reflect2 does not know. This one has the reflect2 of the same Debian.
build_old_kubectl() {
  [ -e "$cache/go119/usr/lib/go-1.19/bin/go" ] || need_unpacked bookworm go119 '^golang-1.19-(go|src)$' golang-1.19-go
  need_unpacked bookworm reflect2 '^golang-github-modern' golang-github-modern-go-reflect2-dev
  say "==> building kubectl 1.20 (three minutes)"
  local vendored=$source/vendor/github.com/modern-go/reflect2 mended=$cache/reflect2/usr/share/gocode/src/github.com/modern-go/reflect2 variable=k8s.io/kubernetes/vendor/k8s.io/component-base/version file comma='' replace=''
  for file in "$vendored"/*.{go,s}; do [ -e "$mended/${file##*/}" ] || { replace+="$comma\"$file\":\"\""; comma=,; }; done
  for file in "$mended"/*.{go,s}; do case $file in *_test.go | *'*'*) ;; *) replace+="$comma\"$vendored/${file##*/}\":\"$file\""; comma=, ;; esac; done
  printf '{"Replace":{%s}}' "$replace" > "$cache/kubectl-overlay.json"
  (cd "$source" && GOROOT=$cache/go119/usr/lib/go-1.19 GOPATH=$cache/gopath GOCACHE=$cache/gocache GO111MODULE=off GOFLAGS='' GOTOOLCHAIN=local CGO_ENABLED=0 GOMAXPROCS=2 nice -n 10 "$cache/go119/usr/lib/go-1.19/bin/go" build \
    -overlay "$cache/kubectl-overlay.json" -ldflags "-X $variable.gitVersion=v1.20.2 -X $variable.gitMajor=1 -X $variable.gitMinor=20" -o "$cache/bin/kubectl-1.20" ./cmd/kubectl) || fail "kubectl 1.20 does not build: see above"
}

if [ -n "${SKIFF_KUBECTL:-}" ]; then read -ra kubectls <<< "$SKIFF_KUBECTL"
elif [ "$release" != 1.20 ]; then
  compiled_newer kubectl ./cmd/kubectl
  compiled_newer kubectl-convert ./cmd/kubectl-convert
  kubectls=("$suite/bin/kubectl")
else
  [ -x "$cache/bin/kubectl-1.20" ] || build_old_kubectl
  need_unpacked trixie kubectl-trixie '^kubectl$|^kubernetes-client$' kubernetes-client
  need_unpacked sid kubectl-sid '^kubectl$' kubectl
  kubectls=("$cache/bin/kubectl-1.20" "$cache/kubectl-trixie/usr/bin/kubectl" "$cache/kubectl-sid/usr/bin/kubectl")
fi
status=0
options=(); for kubectl in "${kubectls[@]}"; do options+=(--kubectl "$kubectl"); done
node test/upstream-cmd/main.ts --release "$release" --source "$source" --binary "${SKIFF_BINARY:-dist/skiff}" --jobs "${SKIFF_JOBS:-2}" "${options[@]}" "$@" || status=1
if [ "$release" = 1.20 ] && [ $# -eq 0 ]; then SKIFF_NEW_KUBECTL=${kubectls[-1]} node scripts/run-tests.ts --whole test/upstream-cmd/since.cmd.ts || status=1; fi
exit $status
