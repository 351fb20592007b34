#!/bin/sh
# Opens the network of a lab and keeps it open until it is ended: a bridge in a network namespace of its own, which nothing
# but this process and those that enter it hold. Run it by `unshare --net`. When it is ready it says so.
set -eu
export PATH="$PATH:/usr/sbin:/sbin"
ip link set lo up
ip link add br0 type bridge forward_delay 0
ip link set br0 up
# The machine itself. What talks to the nodes for the tests comes from .254, so that a node can be cut off from the
# machine's programs and still be told to.
for host in 1 2 3 4 254; do ip address add "192.168.77.$host/24" dev br0; done
echo "The lab's network is open."
exec sleep infinity
