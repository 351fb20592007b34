#!/bin/sh
# Installs OpenStack's own clients from PyPI, as requirements.txt names them, into a folder of their own, and prints it. Made once
# per version of that file; safe when two run at once.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${PUMICE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pumice}
made=$cache/clients-$(cat "$0" "$here/requirements.txt" | sha256sum | cut -c 1-12)
if [ -e "$made/complete" ]; then
  echo "$made"
  exit
fi

mkdir -p "$cache"
# An environment can't be moved: it is made where it stays, by one at a time.
exec 9>"$made.lock"
flock 9
if [ ! -e "$made/complete" ]; then
  rm -rf "$made"
  /usr/bin/python3 -m venv "$made" >&2
  "$made/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt" >&2
  touch "$made/complete"
fi
echo "$made"
