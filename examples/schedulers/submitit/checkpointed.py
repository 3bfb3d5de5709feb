"""A program under `dmtcpctl run` as a job of submitit's: before its time is over, and when it is
preempted, it is checkpointed, and goes on in the job that submitit requeues.

    python checkpointed.py [--cluster local|slurm] [--minutes N] [--run="--interval 10m"] FOLDER PROGRAM ARGUMENTS…
"""

import argparse
import dataclasses
import os
import shlex
import signal
import subprocess
import time

# submitit's own choice, USR2, is what DMTCP checkpoints with. Read when submitit is imported, here and in
# the job.
os.environ.setdefault("SUBMITIT_PREEMPT_SIGNAL", "USR1")

import submitit  # noqa: E402

CHECKPOINTED, TRY_AGAIN = 85, 75


@dataclasses.dataclass
class Checkpointed:
    """Runs `program` until it ends, over as many jobs as that takes. Returns its exit code."""

    program: list
    state_dir: str
    options: list = dataclasses.field(default_factory=list)

    def __call__(self):
        # Slurm sends its signals to every process of a step. What is meant for submitit must neither end
        # the program nor be a second request to stop, so both ignore it; SIGHUP is ours.
        self._process = subprocess.Popen(
            ["env", "--ignore-signal=USR1,TERM", "dmtcpctl", "run", "--state-dir", self.state_dir]
            + ["--on-signal", "HUP", "--grace", "80s", "--keep", "2", *self.options, "--", *self.program],
            stdin=subprocess.DEVNULL,
        )
        while self._process.poll() is None:
            time.sleep(0.2)
        code = self._process.returncode
        if code in (CHECKPOINTED, TRY_AGAIN):
            # It has stopped in time by itself: as if submitit had been told.
            os.kill(os.getpid(), getattr(signal, "SIG" + os.environ["SUBMITIT_PREEMPT_SIGNAL"]))
        return code

    def checkpoint(self):
        """Called by submitit in its signal handler, in the middle of the method above."""
        if self._process.returncode is None:
            os.kill(self._process.pid, signal.SIGHUP)
            # Not by Popen: what was interrupted may hold its lock.
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        # Also where the program has just ended: the next job is told so at once.
        return submitit.helpers.DelayedSubmission(dataclasses.replace(self))

    # Its name in releases of submitit to come.
    __submitit_checkpoint__ = checkpoint


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder")
    arguments.add_argument("--cluster", help="default: Slurm if it is there, else this machine")
    arguments.add_argument("--minutes", type=int, default=60)
    arguments.add_argument("--warning", type=int, default=90, help="seconds between signal and end")
    arguments.add_argument("--run", default="", help="options of dmtcpctl run")
    arguments.add_argument("program", nargs=argparse.REMAINDER)
    chosen = arguments.parse_args()
    executor = submitit.AutoExecutor(chosen.folder, cluster=chosen.cluster, slurm_max_num_timeout=1000)
    executor.update_parameters(timeout_min=chosen.minutes, slurm_signal_delay_s=chosen.warning)
    state_dir = os.path.join(os.path.abspath(chosen.folder), "state")
    job = executor.submit(Checkpointed(chosen.program, state_dir, shlex.split(chosen.run)))
    print(f"job {job.job_id}", flush=True)
    print(f"exit code {job.result()}", flush=True)


if __name__ == "__main__":
    main()
