#!/bin/bash
# qsub -l s_rt=3:55:00,h_rt=4:00:00 job.sh [OPTIONS OF dmtcpctl run] -- PROGRAM ARGUMENTS…
#
# Grid Engine runs a job again that exits with 99. At s_rt it sends SIGUSR1.
#$ -S /bin/bash
#$ -cwd
#$ -V
#$ -j y
#$ -r y
echo "run on $(hostname), RESTARTED=$RESTARTED"
exec dmtcpctl run --state-dir "$SGE_O_WORKDIR/state-$JOB_ID" --on-signal USR1 --grace 90s --keep 2 \
  --exit-code checkpointed=99 --exit-code try-again=99 "$@"
