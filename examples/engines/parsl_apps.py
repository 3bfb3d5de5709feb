"""A program as a Parsl app that goes on where it was when Parsl tries it again.

    python parsl_apps.py [--native] [--interval SECONDS] CASE RESULT PROGRAM ARGUMENTS…

runs `PROGRAM ARGUMENTS… CASE RESULT`.
"""

import argparse
import shlex

import parsl
from parsl.config import Config
from parsl.data_provider.files import File
from parsl.executors import HighThroughputExecutor

from dmtcp.integrations.parsl import checkpointed_bash_app, retry_handler


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--native", action="store_true", help="the program is a native worker")
    arguments.add_argument("--interval", type=float, default=600, help="seconds between checkpoints")
    arguments.add_argument("case")
    arguments.add_argument("result")
    arguments.add_argument("program", nargs=argparse.REMAINDER)
    chosen = arguments.parse_args()

    @checkpointed_bash_app(native=chosen.native, interval=chosen.interval)
    def simulate(program, inputs=(), outputs=(), stdout=parsl.AUTO_LOGNAME):
        return f"exec {program} {inputs[0]} {outputs[0]}"

    config = Config(
        # So often it is looked whether workers still live; the default is 30 s.
        executors=[HighThroughputExecutor(max_workers_per_node=1, address="127.0.0.1", heartbeat_period=5)],
        retries=5,
        retry_handler=retry_handler,
    )
    with parsl.load(config):
        future = simulate(
            shlex.join(chosen.program), inputs=[File(chosen.case)], outputs=[File(chosen.result)]
        )
        print(f"exit code {future.result()}, behind {future.task_record['fail_count']} failure(s)", flush=True)
        print(f"output in {future.stdout}", flush=True)


if __name__ == "__main__":
    main()
