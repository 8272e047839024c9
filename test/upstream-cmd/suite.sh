#!/usr/bin/env bash
# suite.sh NAME: upstream's run_NAME_tests against the server at 127.0.0.1:SECURE_API_PORT, in the root of a prepared copy of the source (see copy.ts). kubectl is in KUBECTL_DIR.
# A failing command does not end the function, as it does upstream: it is noted in FAILURES (`file:line command`), and the next one runs.
set -o errexit -o nounset -o pipefail
# Upstream's library of 1.36 ends where the terminal has no colours. The plugins' suite puts relative folders into PATH, which programs made with Go 1.19 and later look at only if told to.
export TERM=xterm LANG=C ALLOW_SKEW=true GODEBUG=execerrdot=0
# shellcheck disable=SC2034  # Upstream's files read it.
KUBE_ROOT=$PWD
source hack/lib/init.sh
source hack/lib/test.sh
# Where the scripts of 1.20 look for kubectl, and those of 1.36.
KUBE_OUTPUT_HOSTBIN=$KUBECTL_DIR
THIS_PLATFORM_BIN=$KUBECTL_DIR
source test/cmd/legacy-script.sh
for inline in test/cmd/inline-*.sh; do source "$inline"; done

note_failure() {
  local at="${BASH_SOURCE[1]##*/}:$1"
  printf '!!FAILED %s: %s\n' "$at" "$2" >&2
  printf '%s %s\n' "${at/inline-*.sh:/legacy-script.sh:}" "${2%%$'\n'*}" >> "$FAILURES"
}
# Upstream's suites run one after the other, the first in a namespace of its own.
record_command() {
  create_and_use_new_namespace
  # By then the node has been there for longer than the minute after which it gets conditions.
  [ "$1" != run_nodes_tests ] || kubectl wait --for=condition=Ready=Unknown node/127.0.0.1 --timeout=100s
  ( "$@"; true )
}
kube::log::error_exit() { printf '%s\n' "$1" >&2; return 1; }
# What upstream's set-up starts is started by the caller.
kube::etcd::cleanup() { :; }
# Two are not named as the others are.
run_kubectl_diff_same_names_tests() { run_kubectl_diff_same_names; }
run_secrets_tests() { run_secrets_test; }

kube::util::trap_add cleanup EXIT SIGINT
kube::util::ensure-temp-dir
HOME="$KUBE_TEMP"; export HOME
kube::util::ensure-gnu-sed
CONTEXT=test
kubectl config set-credentials test-admin --token admin-token
kubectl config set-cluster local --insecure-skip-tls-verify --server "https://127.0.0.1:$SECURE_API_PORT"
kubectl config set-context "$CONTEXT" --user test-admin --cluster local
kubectl config use-context "$CONTEXT"
# The annotation is upstream's, since 1.21: of a Node that has nothing but a status, nobody would own anything, and nothing would be tracked.
kubectl create -f - <<< '{"kind": "Node", "apiVersion": "v1", "metadata": {"name": "127.0.0.1", "annotations": {"save-managers": "true"}}, "status": {"capacity": {"memory": "1Gi"}}}'
export SUPPORTED_RESOURCES=("*")
WHAT=$1
runTests
