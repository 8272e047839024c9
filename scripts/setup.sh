#!/usr/bin/env bash
# Installs what is missing: Debian packages given as arguments, and the npm packages of package-lock.json. Sourced and run by the others; run again it changes nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*" >&2; }
fail() { say "skiff: $*"; exit 1; }

# need_packages COMMAND:PACKAGE... installs the packages whose command is missing.
need_packages() {
  local missing=() pair
  for pair in "$@"; do command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair#*:}"); done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ "$(id -u)" = 0 ] || fail "these packages are missing and only root can install them: ${missing[*]}"
  command -v apt-get >/dev/null || fail "these packages are missing and there is no apt-get: ${missing[*]}; install them and run this again"
  say "==> installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || { apt-get update -q >/dev/null; apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null; } \
    || fail "apt-get could not install ${missing[*]}: run apt-get install ${missing[*]} to see why"
}

need_node() {
  command -v node >/dev/null && command -v npm >/dev/null || fail "Node.js 20 or later with npm is needed to build skiff: install it and run this again"
  local major; major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || fail "Node.js 20 or later is needed, this is $(node --version)"
}

# The lock file decides; a stamp of it in node_modules tells whether there is anything to do.
need_npm_packages() {
  local stamp; stamp=$(sha256sum package-lock.json | cut -d' ' -f1)
  if [ "$(cat node_modules/.skiff-stamp 2>/dev/null)" != "$stamp" ]; then
    say "==> installing npm packages"
    # Not `npm ci`: it refuses a lock file in which some platform's optional package could not be found.
    npm install --no-audit --no-fund --loglevel=error >&2 || fail "npm install failed: see above"
    printf '%s' "$stamp" > node_modules/.skiff-stamp
  fi
  export PATH="$PWD/node_modules/.bin:$PATH"
}

need_generated() {
  if [ ! -e api/types/generated/models.ts ] || [ ! -e api/schema/generated ] || [ -n "$(find scripts/generate*.ts api/schema/*.ts package-lock.json -newer api/types/generated/models.ts -print -quit)" ]; then
    say "==> generating API types and schema"
    node scripts/generate.ts
  fi
}

# Builds dist/skiff unless it is newer than every source.
need_binary() {
  if [ ! -e dist/skiff ] || [ -n "$(find base api server agent cri cni scripts/build.ts package-lock.json -newer dist/skiff -name '*.ts' -not -name '*.test.ts' -print -quit)" ]; then
    say "==> building dist/skiff"
    node scripts/build.ts >&2
  fi
}

# need_unpacked SUITE FOLDER PATTERN PACKAGE...: of the packages and what they depend on, those whose names match are unpacked in $cache/FOLDER, with an apt of its own that knows of nothing installed.
# SKIFF_DEBIAN_MIRROR=URL: another mirror than deb.debian.org.
need_unpacked() {
  local suite=$1 folder=$cache/$2 pattern=$3 mirror=${SKIFF_DEBIAN_MIRROR:-http://deb.debian.org/debian} keyring=/usr/share/keyrings/debian-archive-keyring.gpg; shift 3
  [ ! -e "$folder/.done" ] || return 0
  [ -e $keyring ] || fail "$keyring is missing: apt-get install debian-archive-keyring"
  say "==> getting $* from $mirror $suite"
  rm -rf "$folder"; mkdir -p "$folder/.apt/lists/partial" "$folder/.apt/cache/archives/partial"
  : > "$folder/.apt/status"
  echo "deb [signed-by=$keyring] $mirror $suite main" > "$folder/.apt/sources.list"
  local apt=(-q -o "Dir::Etc::SourceList=$folder/.apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$folder/.apt/lists" -o "Dir::State::status=$folder/.apt/status" -o "Dir::Cache=$folder/.apt/cache" -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update >/dev/null || fail "$mirror does not answer for $suite: set SKIFF_DEBIAN_MIRROR"
  local names; names=$(apt-get "${apt[@]}" -s -y --no-install-recommends install "$@" | awk -v pattern="$pattern" '$1 == "Inst" && $2 ~ pattern { print $2 }')
  [ -n "$names" ] || fail "$mirror $suite does not have $*"
  # shellcheck disable=SC2086  # Names have no spaces.
  (cd "$folder/.apt" && apt-get "${apt[@]}" download $names >/dev/null) || fail "apt-get could not download the packages of $*"
  local deb; for deb in "$folder"/.apt/*.deb; do dpkg -x "$deb" "$folder" || fail "$deb cannot be unpacked"; done
  rm -rf "$folder/.apt"
  touch "$folder/.done"
}

# need_containerd: Debian bookworm's containerd where the tests look for it, unpacked, not installed.
need_containerd() {
  local cache=$PWD/node_modules/.cache/skiff-containerd
  need_unpacked bookworm containerd '^containerd$' containerd
  export SKIFF_TEST_CONTAINERD=$cache/containerd/usr/bin
}

# need_source: Debian bookworm's source of Kubernetes 1.20 in $source, a path where Go looks for it. SKIFF_DEBIAN_MIRROR as above.
need_source() {
  [ ! -e "$source/test/e2e/e2e_test.go" ] || return 0
  local mirror=${SKIFF_DEBIAN_MIRROR:-http://deb.debian.org/debian} work=$cache/source; rm -rf "$work"; mkdir -p "$work/lists/partial" "$work/cache/archives/partial"; : > "$work/status"
  say "==> getting the source of kubernetes 1.20 from $mirror bookworm"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" > "$work/sources.list"
  local apt=(-q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update >/dev/null || fail "$mirror does not answer for bookworm: set SKIFF_DEBIAN_MIRROR"
  (cd "$work" && apt-get "${apt[@]}" source kubernetes >/dev/null 2>&1) || fail "apt-get could not get the source of kubernetes"
  mkdir -p "$(dirname "$source")"; rm -rf "$source"; mv "$work"/kubernetes-1.20* "$source"; rm -rf "$work"
}
