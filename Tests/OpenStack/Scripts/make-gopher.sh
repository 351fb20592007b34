#!/bin/sh
# Builds gopher_walk.go with Debian's Go and gophercloud, and prints where the program is. Made once per version of that file; safe
# when two run at once.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${PUMICE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pumice}
made=$cache/gopher-$(cat "$0" "$here/gopher_walk.go" | sha256sum | cut -c 1-12)
if [ ! -e "$made" ]; then
  command -v go >/dev/null || { echo "Debian's golang-go is missing; make setup installs it." >&2; exit 1; }
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/gopher.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  env GOPATH=/usr/share/gocode GO111MODULE=off GOTOOLCHAIN=local GOFLAGS= CGO_ENABLED=0 GOCACHE="$work/cache" \
    go build -o "$work/gopher_walk" "$here/gopher_walk.go" >&2
  mv "$work/gopher_walk" "$made"
fi
echo "$made"
