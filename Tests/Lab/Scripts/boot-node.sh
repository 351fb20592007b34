#!/bin/sh
# Boots a node of the lab and becomes it: boot-node.sh NETWORK DIR NAME ADDRESS [DISK…]
#
# NETWORK is the process that keeps the lab's network open. The console goes to standard output. DIR/NAME.root keeps what
# differs from the image, and is the node's root file system from boot to boot. DISKs are files; they become /dev/ubdb,
# /dev/ubdc and so on. The node finds the whole host at /host. From the environment:
#   PUMICE_LAB            the folder that make-lab.sh printed
#   PUMICE_LAB_SHARES     folders of the host that the node finds at the same path, separated by colons
#   PUMICE_LAB_LIBRARIES  one more, with libraries for the programs that run there
#   PUMICE_LAB_MEMORY     mebibytes
#
# The node is process 1 of a PID namespace: when that process is killed, all of the node is gone at once, which is what a
# power cut does; what it had not yet written to its disks is lost.
set -eu
export PATH="$PATH:/usr/sbin:/sbin"
network=$1 dir=$2 name=$3 address=$4
shift 4

disks= letter=1
for disk in "$@"; do
  disks="$disks ubd$letter=$disk"
  letter=$((letter + 1))
done
memory=${PUMICE_LAB_MEMORY:-512}
# The node's memory is a file that is never synced, if there is room in /dev/shm.
room=$(df -m --output=avail /dev/shm 2>/dev/null | tail -n 1)
[ "${room:-0}" -le $((memory * 4)) ] || export TMPDIR=/dev/shm
mkdir -p "$dir/$name.uml"

enter="nsenter --net=/proc/$network/ns/net"
tap=tap-${address##*.}
$enter ip link delete "$tap" 2>/dev/null || true
$enter ip tuntap add "$tap" mode tap
$enter ip link set "$tap" master br0 up

# shellcheck disable=SC2086 -- one word per argument
exec $enter unshare --pid --fork --kill-child=KILL "$PUMICE_LAB/linux" \
  mem="${memory}M" ubd0="$dir/$name.root,$PUMICE_LAB/root.ext4" $disks \
  root=/dev/ubda rw rootfstype=ext4 init=/sbin/init con=null con0=null,fd:1 ssl=null loglevel=5 panic=1 \
  uml_dir="$dir/$name.uml" umid=uml net.ifnames=0 vec0:transport=tap,ifname="$tap",depth=128,gro=1 \
  lab.name="$name" lab.address="$address/24" lab.shares="${PUMICE_LAB_SHARES:-}" \
  lab.libraries="${PUMICE_LAB_LIBRARIES:-}" </dev/null
