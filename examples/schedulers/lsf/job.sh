#!/bin/bash
# RUN_OPTIONS="--interval 10m" bsub < job.sh, with the program and its arguments in place of ./my_program.
#
# LSF runs a job again that exits with one of these, on any host.
#BSUB -Q "75 85"
# A run may take 240 minutes; five minutes before that it gets SIGUSR1.
#BSUB -W 240
#BSUB -wa USR1 -wt 5
#BSUB -o job-%J.log
# shellcheck disable=SC2086 # several options
exec dmtcpctl run --state-dir "state-$LSB_JOBID" --on-signal USR1 --grace 90s --keep 2 $RUN_OPTIONS \
  -- ./my_program result
