#!/usr/bin/env bash
# Every check, from a fresh clone on a bare machine: installs what the tests need, generates, type check, lint, unit and contract tests, build, whole-system tests. Ends with `N passed, N failed, N skipped`.
set -euo pipefail
. "$(dirname "$0")/setup.sh"

need_node
need_packages runc:runc conmon:conmon nft:nftables ip:iproute2 nsenter:util-linux busybox:busybox docker-registry:docker-registry openssl:openssl python3:python3 make:make g++:g++ strip:binutils faketime:faketime strace:strace kubectl:kubernetes-client etcd:etcd-server
need_npm_packages
need_generated
# Where Debian's packages cannot be had, the tests on containerd are skipped and say so.
if [ -z "${SKIFF_TEST_CONTAINERD:-}" ] && ! command -v containerd >/dev/null; then
  if (need_containerd); then need_containerd; else say "the tests on containerd are skipped"; fi
fi

say "==> type check"
tsc -p .
say "==> lint"
oxlint --type-aware --deny-warnings
need_binary

tally=$(mktemp)
trap 'rm -f "$tally"' EXIT
failed=0
say "==> unit and contract tests"
node scripts/run-tests.ts --lanes 2 --tally "$tally" || failed=1
say "==> whole-system tests"
node scripts/run-tests.ts --whole --lanes 2 --tally "$tally" || failed=1
awk '{p+=$1; f+=$2; s+=$3} END {printf "%d passed, %d failed, %d skipped\n", p, f, s}' "$tally"
exit $failed
