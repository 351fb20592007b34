#!/bin/bash
# A lab of one's own, for people: nodes of user-mode Linux on a bridge.
#
#   lab-node.sh start DIR NAME ADDRESS [DISK_SIZE…]   boots a node, e.g. `start /tmp/lab a 192.168.77.11 2G 2G`; returns when
#                                                     it is up. Again after kill or stop: the disks are as they were
#   lab-node.sh run DIR NAME COMMAND…                 runs a command in it (one word: a shell script), status passed on
#   lab-node.sh test DIR NAME FILTER                  runs those suites of LabNodeTests in it that match
#   lab-node.sh enter DIR COMMAND…                    runs a command of the host in the lab's network, at 192.168.77.1 to .4
#   lab-node.sh kill DIR NAME                         cuts its power
#   lab-node.sh stop DIR NAME                         shuts it down
#   lab-node.sh log DIR NAME                          its console
#   lab-node.sh end DIR                               ends all nodes and removes the folder
#
# Disks are /dev/ubdb, /dev/ubdc … and DIR/NAME.disk1, DIR/NAME.disk2 … A node finds the host at /host, and this project and
# DIR at the same path as outside: .build/debug/pumice-agent runs there as it is.
set -euo pipefail
export PATH="$PATH:/opt/swift/usr/bin:/usr/local/swift/usr/bin:/usr/sbin:/sbin"

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../../.." && pwd)
die() { echo "$*" >&2; exit 1; }
usage() { sed -n '4,12s/^# *//p' "$0" >&2; exit 2; }
[ $# -ge 2 ] || usage
verb=$1 dir=$(realpath -m "$2")
shift 2

alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }
network() { alive "$dir/network.pid" || die "$dir has no lab."; cat "$dir/network.pid"; }
enter() { nsenter --net="/proc/$(network)/ns/net" "$@"; }
address() { cat "$dir/$1.address" 2>/dev/null || die "$dir has no node $1."; }

open_network() {
  alive "$dir/network.pid" && return
  mkdir -p "$dir"
  setsid unshare --net "$here/open-network.sh" </dev/null >"$dir/network.log" 2>&1 &
  echo $! >"$dir/network.pid"
  until grep -qs open "$dir/network.log"; do alive "$dir/network.pid" || die "$(cat "$dir/network.log")"; sleep 0.05; done
}


# The node's own process, below the one that boot-node.sh has become; it is there a moment later.
node_process() { cat /proc/"$(cat "$dir/$1.pid")"/task/*/children 2>/dev/null | tr -d ' '; }

send() { # NAME SCRIPT: output as it comes; the exit status from what follows the last NUL
  local status=$dir/$1.status.$$
  rm -f "$status"
  printf %s "$2" | enter socat -t 86400 - "TCP:$(address "$1"):514,bind=192.168.77.254,connect-timeout=5" |
    sed -u -n -e "/\\x00[0-9]*\$/{h;s/.*\\x00//;w $status" -e 'x;s/\x00[0-9]*$//;/./p;d}' -e p
  [ -s "$status" ] || { rm -f "$status"; echo "The connection to $1 broke." >&2; return 255; }
  local result
  result=$(cat "$status")
  rm -f "$status"
  return "$result"
}

end_node() { # NAME SIGNAL
  alive "$dir/$1.pid" || return 0
  local pid
  pid=$(cat "$dir/$1.pid")
  kill -"$2" $(node_process "$1") 2>/dev/null || true
  for _ in $(seq 200); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  ! kill -0 "$pid" 2>/dev/null || die "Node $1 does not end."
  rm -f "$dir/$1.pid"
}

case $verb in
  start)
    [ $# -ge 2 ] || usage
    name=$1 address=$2
    shift 2
    ! alive "$dir/$name.pid" || die "Node $name runs already."
    mkdir -p "$dir"
    # Its root file system goes with the image that it began with.
    [ -e "$dir/image" ] || "$here/make-lab.sh" >"$dir/image"
    PUMICE_LAB=$(cat "$dir/image")
    PUMICE_LAB_LIBRARIES=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")/lib/swift/linux
    PUMICE_LAB_SHARES=$project:$dir
    export PUMICE_LAB PUMICE_LAB_LIBRARIES PUMICE_LAB_SHARES
    open_network
    echo "$address" >"$dir/$name.address"
    number=0
    for size in "$@"; do
      number=$((number + 1))
      [ -e "$dir/$name.disk$number" ] || truncate -s "$size" "$dir/$name.disk$number"
    done
    disks=()
    for number in 1 2 3 4 5 6 7; do
      [ ! -e "$dir/$name.disk$number" ] || disks+=("$dir/$name.disk$number")
    done
    setsid timeout -k 3 8h "$here/boot-node.sh" "$(network)" "$dir" "$name" "$address" "${disks[@]}" \
      </dev/null >"$dir/$name.console" 2>&1 &
    timer=$!
    for _ in $(seq 1200); do
      # timeout has become the parent of the process that boot-node.sh has become.
      pgrep -P $timer >"$dir/$name.pid" || true
      grep -aq "^lab: $name is up" "$dir/$name.console" && send "$name" true 2>/dev/null && exit 0
      kill -0 $timer 2>/dev/null || break
      sleep 0.05
    done
    tail -n 30 "$dir/$name.console" >&2
    die "Node $name is not up."
    ;;
  run)
    [ $# -ge 2 ] || usage
    name=$1
    shift
    if [ $# -gt 1 ]; then script=$(printf '%q ' "$@"); else script=$1; fi
    send "$name" "$script"
    ;;
  test)
    [ $# -eq 2 ] || usage
    send "$1" "cd $project && exec .build/debug/pumicePackageTests.xctest --testing-library swift-testing --filter '$2' --no-parallel"
    ;;
  enter) enter "$@" ;;
  kill) end_node "$1" KILL ;;
  stop)
    send "$1" 'sync; (sleep 0.1; busybox poweroff -f) >/dev/null 2>&1 &'
    for _ in $(seq 200); do alive "$dir/$1.pid" || break; sleep 0.05; done
    end_node "$1" KILL
    ;;
  log) cat "$dir/$1.console" ;;
  end)
    [ -e "$dir/network.pid" ] || die "$dir has no lab."
    for pid in "$dir"/*.pid; do
      name=$(basename "$pid" .pid)
      [ "$name" = network ] || end_node "$name" KILL
    done
    kill "$(cat "$dir/network.pid")" 2>/dev/null || true
    rm -rf "$dir"
    ;;
  *) usage ;;
esac
