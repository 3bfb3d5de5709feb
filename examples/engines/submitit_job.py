"""A program as a job of submitit's that goes on when it is preempted, or its time is over.

    python submitit_job.py [--cluster local|slurm] [--minutes N] [--warning SECONDS] [--native]
        [--interval SECONDS] FOLDER PROGRAM ARGUMENTS…
"""

import argparse

from dmtcp.integrations.submitit import Checkpointed  # before submitit, whose signal it chooses

import submitit


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cluster", help="default: Slurm if it is there, else this machine")
    arguments.add_argument("--minutes", type=int, default=60, help="how long one job may take")
    arguments.add_argument("--warning", type=int, default=90, help="seconds between signal and end")
    arguments.add_argument("--native", action="store_true", help="the program is a native worker")
    arguments.add_argument("--interval", type=float, default=600, help="seconds between checkpoints")
    arguments.add_argument("folder")
    arguments.add_argument("program", nargs=argparse.REMAINDER)
    chosen = arguments.parse_args()

    executor = submitit.AutoExecutor(chosen.folder, cluster=chosen.cluster, slurm_max_num_timeout=1000)
    executor.update_parameters(timeout_min=chosen.minutes, slurm_signal_delay_s=chosen.warning)
    task = Checkpointed(
        chosen.program,
        native=chosen.native,
        interval=chosen.interval,
        grace=max(5, chosen.warning - 15),
    )
    job = executor.submit(task)
    print(f"job {job.job_id}", flush=True)
    report = job.result()
    print(f"{report}; it went on from set {report.resumed_from}", flush=True)


if __name__ == "__main__":
    main()
