#!/usr/bin/env bash
# From a clone to a running one-node cluster in one command: installs what is missing, builds, starts, waits. Run again it changes nothing that is right.
set -euo pipefail
. "$(dirname "$0")/setup.sh"

KUBECONFIG_PATH=/etc/skiff/skiff.yaml
LOG=/var/log/skiff.log
PIDFILE=/run/skiff-server.pid

[ "$(id -u)" = 0 ] || fail "run this as root: pods need namespaces, mounts and cgroups"
[ "$(uname -s)" = Linux ] || fail "skiff runs on Linux"
need_node
need_packages runc:runc conmon:conmon nft:nftables ip:iproute2 nsenter:util-linux modprobe:kmod python3:python3 make:make g++:g++ strip:binutils kubectl:kubernetes-client
need_npm_packages
need_generated
need_binary

restart=no
if ! cmp -s dist/skiff /usr/local/bin/skiff; then
  say "==> installing /usr/local/bin/skiff"
  install -m 0755 dist/skiff /usr/local/bin/skiff.new
  mv /usr/local/bin/skiff.new /usr/local/bin/skiff
  restart=yes
fi

running() { [ -s "$PIDFILE" ] && kill -0 "$(cat "$PIDFILE")" 2>/dev/null && grep -qz '^server$' "/proc/$(cat "$PIDFILE")/cmdline" 2>/dev/null; }
stop_running() {
  local pid; pid=$(cat "$PIDFILE")
  say "==> stopping the old server (containers keep running)"
  kill -TERM "$pid"
  for _ in $(seq 1 150); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  fail "the server (pid $pid) does not stop within 15 s: see $LOG"
}

if [ -d /run/systemd/system ]; then
  unit=/etc/systemd/system/skiff.service
  wanted=$(sed "s|@ARGS@|$*|" scripts/skiff.service)
  if [ "$(cat "$unit" 2>/dev/null)" != "$wanted" ]; then
    say "==> installing $unit"
    printf '%s\n' "$wanted" > "$unit"
    systemctl daemon-reload
    systemctl enable -q skiff
    restart=yes
  fi
  if [ $restart = yes ] || ! systemctl is-active -q skiff; then
    say "==> starting skiff server"
    systemctl restart skiff || { journalctl -u skiff -n 5 --no-pager -o cat >&2; fail "systemd could not start skiff: its last words are above, all of them in journalctl -u skiff"; }
  fi
else
  if running && [ $restart = yes ]; then stop_running; fi
  if ! running; then
    say "==> starting skiff server (log: $LOG)"
    setsid /usr/local/bin/skiff server "$@" >>"$LOG" 2>&1 </dev/null &
    echo $! > "$PIDFILE"
  fi
fi

say "==> waiting for the node to be Ready"
ready=no
for _ in $(seq 1 600); do
  if [ ! -d /run/systemd/system ] && ! running; then tail -n 5 "$LOG" >&2; fail "the server ended: its last words are above, all of them in $LOG"; fi
  if [ -s "$KUBECONFIG_PATH" ] && kubectl --kubeconfig "$KUBECONFIG_PATH" get nodes --no-headers 2>/dev/null | grep -qE '^\S+ +Ready'; then ready=yes; break; fi
  sleep 0.1
done
[ $ready = yes ] || fail "no node became Ready within a minute: see $LOG, or journalctl -u skiff"

kubectl --kubeconfig "$KUBECONFIG_PATH" get nodes -o wide
cat <<EOF

skiff is up. Next:

  export KUBECONFIG=$KUBECONFIG_PATH
  kubectl get pods -A
  kubectl create deployment hello --image=busybox -- sh -c 'while true; do date; sleep 5; done'

Another machine joins with:

  skiff agent --server https://$(kubectl --kubeconfig "$KUBECONFIG_PATH" get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}'):6443 --token \$(cat /var/lib/skiff/server/agent-token)
EOF
