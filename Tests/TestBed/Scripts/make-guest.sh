#!/bin/sh
# Makes the small guest that tests and demo boot: a Debian cloud kernel and an initramfs with busybox, lsblk, the QEMU guest
# agent, and the drivers for virtio and ext4. Prints the folder with vmlinuz and initramfs.cpio. Made once per version of this script; safe when two run at once.
#
# The guest answers on the virtio serial port `pumice.shell`. A line `ID BASE64` is a shell command, run beside all others;
# `=ID STATUS BASE64` is its exit status and output. (A 16550 would lose input now and then.)
set -eu

cache=${PUMICE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pumice}
made=$cache/guest-$(sha256sum "$0" | cut -c 1-12)
if [ -d "$made" ]; then
  echo "$made"
  exit
fi

export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C
mkdir -p "$cache"
work=$(mktemp -d "$cache/.guest.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM

# The kernel: the package that the cloud metapackage names today, unpacked and never installed.
kernel_package() {
  apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}
# As root: apt's own user can't write into our folder.
download_kernel() {
  package=$(kernel_package)
  [ -n "$package" ] && (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$package" qemu-guest-agent >&2)
}
# A list that is older than the archive names a package that is there no more.
download_kernel || { apt-get -q update >&2; download_kernel; }
dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
dpkg-deb -x "$work"/qemu-guest-agent_*.deb "$work/agent"
version=$(ls "$work/kernel/lib/modules")
[ -d "$work/kernel/usr/lib/modules" ] || depmod -b "$work/kernel" "$version"

# The initramfs: busybox for every applet, lsblk and flock with their libraries, the drivers in the order of their dependencies.
root=$work/root
mkdir -p "$root/bin" "$root/modules" "$root/proc" "$root/sys" "$root/dev" "$root/run/udev/data" "$root/tmp" "$root/mnt"
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in $("$root/bin/busybox" --list); do
  [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
done
# The agent's libraries are those that QEMU itself needs.
for program in "$(command -v lsblk)" "$(command -v flock)" "$work/agent/usr/sbin/qemu-ga"; do
  copy=$root/bin/$(basename "$program")
  cp --remove-destination "$program" "$copy"
  if ldd "$copy" | grep 'not found' >&2; then exit 1; fi
  ldd "$copy" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
done
mv "$root/bin/lsblk" "$root/bin/lsblk.real"
for module in virtio_pci virtio_console virtio_blk virtio_scsi sd_mod ext4; do
  modprobe -d "$work/kernel" -S "$version" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
  cp "$file" "$root/modules/"
  basename "$file" >>"$root/modules/order"
done

cat >"$root/init" <<'INIT'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
exec setsid /answer
INIT

# Without udev, lsblk knows no serial numbers: this writes down what udev would have.
cat >"$root/bin/lsblk" <<'LSBLK'
#!/bin/sh
for disk in /sys/block/*; do
  if [ -s "$disk/serial" ]; then
    serial=$(cat "$disk/serial")
  elif [ -s "$disk/device/vpd_pg80" ]; then
    serial=$(tail -c +5 "$disk/device/vpd_pg80")
  else
    continue
  fi
  echo "E:ID_SERIAL_SHORT=$serial" >"/run/udev/data/b$(cat "$disk/dev")"
done
exec lsblk.real "$@"
LSBLK

cat >"$root/answer" <<'ANSWER'
#!/bin/sh
# Several commands run at once, so that one that hangs on a disk holds up no other.
until port=$(grep -l -x pumice.shell /sys/class/virtio-ports/*/name 2>/dev/null); do sleep 0.1; done
exec 3<>"/dev/$(basename "$(dirname "$port")")"
echo "=ready 0 " >&3
while :; do
  # Reading ends whenever nobody is connected outside.
  IFS=' ' read -r id text <&3 || { sleep 0.1; continue; }
  [ -n "$text" ] || continue
  {
    echo "$text" | base64 -d >"/tmp/$id.sh"
    sh "/tmp/$id.sh" >"/tmp/$id.out" 2>&1 </dev/null 3>&-
    status=$?
    answer="=$id $status $(base64 -w 0 <"/tmp/$id.out")"
    flock /tmp/lock echo "$answer" >&3
    rm -f "/tmp/$id.sh" "/tmp/$id.out"
  } &
done
ANSWER
chmod +x "$root/init" "$root/answer" "$root/bin/lsblk"

mkdir "$work/made"
mv "$work/kernel/boot/vmlinuz-$version" "$work/made/vmlinuz"
(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/made/initramfs.cpio"

# Renaming onto a folder that another run has just made fails; theirs is as good.
mv -T "$work/made" "$made" 2>/dev/null || [ -d "$made" ]
echo "$made"
