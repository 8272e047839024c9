# shellcheck shell=bash disable=SC2034  # What it sets is read by the script that sources it.
# Programs of a newer Kubernetes than Debian has, from a source tree. Sourced after setup.sh, with $cache set; see conformance.sh.

# newer_kubernetes DIR: that tree in $source, its release in $release (1.36) and $version (1.36.1), the folder of its programs in $suite; and the compiler.
newer_kubernetes() {
  source=$1
  release=$(cd "$source/CHANGELOG" && printf '%s\n' CHANGELOG-1.*.md | sort -V | tail -n 1); release=${release#CHANGELOG-}; release=${release%.md}
  version=$(grep -om1 "^- \[v$release\.[0-9]*\]" "$source/CHANGELOG/CHANGELOG-$release.md") || fail "$source/CHANGELOG/CHANGELOG-$release.md names no version"
  version=${version#*v}; version=${version%]}
  suite=$cache/$release
  mkdir -p "$suite/bin"
  [ -e "$cache/go126/usr/lib/go-1.26/bin/go" ] || need_unpacked sid go126 '^golang-1.26-(go|src)$' golang-1.26-go
}

# compiled_newer NAME PACKAGE [test]: $suite/bin/NAME, which tells its version as a release does.
compiled_newer() {
  [ ! -e "$suite/bin/$1" ] || return 0
  say "==> compiling $2"
  local go=$cache/go126/usr/lib/go-1.26 package=k8s.io/component-base/version how
  how=(build -ldflags "-X $package.gitVersion=v$version -X $package.gitMajor=${release%.*} -X $package.gitMinor=${release#*.}")
  [ "${3:-}" != test ] || how=(test -vet=off -ldflags=-s -c)
  (cd "$source" && env GOROOT="$go" GOPATH="$cache/none" GOCACHE="$cache/gocache-1.26" GOFLAGS=-mod=vendor GOPROXY=off GOTOOLCHAIN=local CGO_ENABLED=0 nice -n 10 "$go/bin/go" "${how[@]}" -o "$suite/bin/$1.new" "$2") || fail "$2 does not compile: see above"
  mv "$suite/bin/$1.new" "$suite/bin/$1"
}
