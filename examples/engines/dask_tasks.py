"""A program as a task of Dask that goes on when its worker is lost.

    python dask_tasks.py [--native] [--interval SECONDS] PROGRAM ARGUMENTS…
"""

import argparse

from distributed import Client, LocalCluster

from dmtcp.integrations.dask import CheckpointOnClose, checkpointed_command


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--native", action="store_true", help="the program is a native worker")
    arguments.add_argument("--interval", type=float, default=600, help="seconds between checkpoints")
    arguments.add_argument("program", nargs=argparse.REMAINDER)
    chosen = arguments.parse_args()

    simulate = checkpointed_command("simulate", native=chosen.native, interval=chosen.interval)
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        client.register_plugin(CheckpointOnClose())
        report = client.submit(simulate, chosen.program, retries=3).result()
    print(f"{report}; it went on from set {report.resumed_from}", flush=True)


if __name__ == "__main__":
    main()
