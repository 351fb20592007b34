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
  # Of all of Ansible's collections, this one.
  "$made/bin/pip" download --quiet --disable-pip-version-check --no-deps --ignore-requires-python --dest "$made/wheel" ansible==14.5.0 >&2
  (cd "$made" && bin/python -m zipfile -e wheel/*.whl wheel/all && mkdir -p collections/ansible_collections/openstack &&
    mv wheel/all/ansible_collections/openstack/cloud collections/ansible_collections/openstack/ && rm -rf wheel)
  touch "$made/complete"
fi
echo "$made"
