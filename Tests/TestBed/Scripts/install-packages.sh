#!/bin/sh
# Installs the Debian packages that build, demo and tests need, and those it is given. Quick and harmless when they are
# there already.
set -eu

packages='
  libvirt-dev libiscsi-dev libnfs-dev libxml2-dev libsqlite3-dev pkg-config
  libvirt-daemon-system libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients
  qemu-system-x86 qemu-block-extra qemu-utils tgt libiscsi-bin
  nfs-ganesha nfs-ganesha-vfs
  busybox-static kmod cpio xz-utils zstd procps util-linux systemd
  xfsprogs btrfs-progs
  python3 python3-venv python3-keystone golang-go golang-github-gophercloud-gophercloud-dev
  mmdebstrap e2fsprogs iproute2 iptables socat '"$*"

present=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null |
  sed -n 's/^installed //p' | tr '\n' ' ') "
missing=
for package in $packages; do
  case $present in
    *" $package "*) ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

echo "Installing:$missing"
root=
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Installing packages takes root; run this as root:$missing" >&2; exit 1; }
  root=sudo
fi

# In runlevel 1 invoke-rc.d starts nothing: the tests start their own libvirtd and tgtd.
quietly() {
  $root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 "$@"
}
quietly apt-get -q update
# shellcheck disable=SC2086 -- one word per package
quietly apt-get -q install -y --no-install-recommends $missing
