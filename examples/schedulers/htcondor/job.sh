#!/bin/bash
# job.sh NUMBER PROGRAM ARGUMENTS…, in HTCondor's sandbox with the folder `files`.
#
# The sandbox has another path on each machine, but a program that was checkpointed goes on with the
# directory and the open files that it had. So it works in a directory of the same name everywhere, and
# what that holds at a checkpoint goes along with the checkpoint.
sandbox=$PWD
work=/tmp/condor-job-$1
shift
rm -rf "$work" && mkdir -p state && mkdir -m 700 "$work" && cp -a files/. "$work" || exit 75
cd "$work" || exit 75
# shellcheck disable=SC2086 # several options
dmtcpctl run --state-dir "$sandbox/state" --interval "${INTERVAL:-30m}" --stop-after-checkpoint --keep 1 \
  $RUN_OPTIONS -- "$@"
code=$?
cd "$sandbox" || exit 75
if [ "$code" != 75 ]; then
  # The program has ended: these are the files of this very checkpoint.
  rm -rf new && cp -a "$work" new && rm -rf files && mv new files || code=75
fi
rm -rf "$work"
exit "$code"
