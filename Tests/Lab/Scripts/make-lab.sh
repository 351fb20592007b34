#!/bin/sh
# Makes the lab: a user-mode Linux kernel and one root file system for storage nodes and compute nodes, stock Debian with
# LVM, LIO's configfs, open-iscsi and NFS. Prints the folder with `linux` and `root.ext4`. Takes root and a minute, once per
# version of this recipe; safe when two run at once.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${PUMICE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pumice}
made=$cache/lab-$(cat "$0" "$here"/node/* | sha256sum | cut -c 1-12)
if [ -d "$made" ]; then
  touch "$made"
  echo "$made"
  exit
fi

export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C
started=$(date +%s)
mkdir -p "$cache"
# One at a time, so that what is half made, once the lock is ours, is of one that died.
exec 9>"$cache/.lab.lock"
flock -n 9 || { echo "Waiting for another run that makes the lab." >&2; flock 9; }
if [ -d "$made" ]; then
  echo "$made"
  exit
fi
rm -rf "$cache"/.lab.??????
# What no clone has used for a week.
find "$cache" -maxdepth 1 -name 'lab-????????????' -mtime +7 -exec rm -rf {} +
echo "Making the lab's kernel and file system in $made; that takes a minute." >&2

work=$(mktemp -d "$cache/.lab.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM
log=$work/log
saying_why() {
  "$@" >>"$log" 2>&1 9>&- || {
    echo "$1 failed:" >&2
    tail -n 30 "$log" >&2
    exit 1
  }
}

# The kernel: unpacked and never installed. As root, since apt's own user can't write into our folder.
download_kernel() {
  (cd "$work" && apt-get -q -o APT::Sandbox::User=root download user-mode-linux >>"$log" 2>&1)
}
# A list that is older than the archive names a package that is there no more.
download_kernel || { saying_why apt-get -q update; saying_why download_kernel; }
dpkg-deb -x "$work"/user-mode-linux_*.deb "$work/kernel"
modules=$(echo "$work"/kernel/usr/lib/uml/modules/*)
version=${modules##*/}

# The file system, from where this machine has its own Debian packages. Libraries at the end: what the product's programs
# are linked with, since they run in the nodes straight from the build folder.
packages='
  busybox-static dbus dmsetup e2fsprogs iproute2 kmod mount netbase procps socat udev util-linux
  lvm2 thin-provisioning-tools multipath-tools
  targetcli-fb tgt open-iscsi libiscsi-bin
  nfs-kernel-server nfs-common rpcbind
  libvirt0 libiscsi7 libnfs13 libxml2 libsqlite3-0 libstdc++6 libcurl4'
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
  sort -u >"$work/sources"
[ -s "$work/sources" ] || { echo "apt knows no Debian archive; run apt-get update." >&2; exit 1; }
root=$work/root
# shellcheck disable=SC2086 -- one word per package
saying_why mmdebstrap --mode=root --variant=essential --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
  --include="$(echo $packages | tr ' ' ,)" --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" "$work/sources"

mkdir -p "$root/lab" "$root/host" "$root/lib/modules"
mv "$modules" "$root/lib/modules/$version"
depmod -b "$root" "$version"
cp "$here"/node/* "$root/lab/"
chmod 755 "$root"/lab/*
mv "$root/lab/inittab" "$root/etc/inittab"
ln -sf /bin/busybox "$root/sbin/init"
# Before it suspends a device, LVM touches and locks memory, 8 MiB of it to spare. Nodes have no swap to fear, and there that
# takes longer than all else that a command does.
echo 'activation { reserved_memory=64 reserved_stack=64 }' >>"$root/etc/lvm/lvmlocal.conf"
rm -f "$root/etc/iscsi/initiatorname.iscsi" "$root/etc/resolv.conf" "$root/etc/hostname"

mkdir "$work/made"
truncate -s 2G "$work/made/root.ext4"
saying_why mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 -d "$root" "$work/made/root.ext4"
mv "$work/kernel/usr/bin/linux.uml" "$work/made/linux"
mv -T "$work/made" "$made"
echo "The lab was made in $(($(date +%s) - started)) s." >&2
echo "$made"
