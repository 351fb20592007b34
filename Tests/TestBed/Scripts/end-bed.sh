#!/bin/sh
# Ends everything that a test bed started, and removes its folder: end-bed.sh [--when-input-ends] FOLDER
#
# Every process of a bed has PUMICE_BED=FOLDER in its environment, but for QEMU, which libvirt gives a clean one: that sees
# the folder mounted over libvirt's own. With --when-input-ends, a bed's own process holds the other end of standard input,
# so that however it dies, its bed ends too; a line on standard input means that the bed shall stay.
set -u

case ${1:-} in
  --when-input-ends)
    shift
    if read -r _; then exit 0; fi
    ;;
esac
folder=${1:-}
if [ ! -e "$folder/.pumice-bed" ]; then
  echo "usage: $0 FOLDER, where FOLDER is a test bed's; \"$folder\" is none." >&2
  exit 2
fi

processes() {
  {
    grep -l -z -x -F "PUMICE_BED=$folder" /proc/[0-9]*/environ
    grep -l -F "/${folder##*/}/" /proc/[0-9]*/mountinfo
  } 2>/dev/null | cut -d / -f 3 | sort -u
}

# What is asked kindly and still there after two seconds is ended by force; tgtd ignores the former while it has targets.
signal=TERM
round=0
while left=$(processes) && [ -n "$left" ]; do
  [ $round -lt 200 ] || { echo "Processes of $folder that do not end:" $left >&2; exit 1; }
  [ $round -lt 40 ] || signal=KILL
  # shellcheck disable=SC2086 -- one word per process
  [ $((round % 20)) -ne 0 ] || kill -$signal $left 2>/dev/null
  round=$((round + 1))
  sleep 0.05
done
rm -rf -- "$folder"
