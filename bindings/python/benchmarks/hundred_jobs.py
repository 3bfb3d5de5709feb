"""Many jobs from one asyncio loop, and how long a question takes while all of them checkpoint.

    python benchmarks/hundred_jobs.py [--jobs 100] [--rounds 3] [--megabytes 1]

Each job is a native worker, a Python process of its own, with a state of that many megabytes. In each
round all jobs are told to checkpoint at the same time; meanwhile one task asks one job after the other for
its status, in this process and over the wire, without a pause. Prints medians and 99th percentiles of
both, of the same before any checkpoint, and of how late the loop itself was in a sleep of 5 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Awaitable, Callable

from dmtcp import aio

WORKER = """
import sys, time, dmtcp
with dmtcp.NativeWorker.join() as worker:
    state = worker.restore(bytearray(int(sys.argv[1])))
    while True:
        time.sleep(0.1)
        worker.safe_point(state)
"""
LIMIT = 600


class Times:
    """Durations of one kind of question."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def of(self, question: Callable[[], Awaitable[object]]) -> None:
        begun = time.perf_counter()
        await question()
        self.taken.append(time.perf_counter() - begun)

    def __str__(self) -> str:
        if len(self.taken) < 2:
            return "not measured"
        taken = sorted(self.taken)
        p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
        median = statistics.median(taken)
        return (
            f"median {median * 1e3:8.3f} ms, p99 {p99 * 1e3:8.3f} ms, "
            f"most {taken[-1] * 1e3:8.3f} ms, of {len(taken)}"
        )


async def ask(jobs: list[aio.RunningJob], until: asyncio.Event) -> tuple[Times, Times, Times]:
    """Asks all of them in turn until told otherwise."""
    here, wire, loop = Times(), Times(), Times()

    async def sleep() -> None:
        await asyncio.sleep(0.005)

    async def asked() -> None:
        while True:
            for job in jobs:
                computation = job.computation
                if computation is not None:
                    await here.of(computation.status)
                    await wire.of(aio.Coordinator(computation).status)
                if until.is_set():
                    return

    async def slept() -> None:
        while not until.is_set():
            await loop.of(sleep)

    await asyncio.gather(asked(), slept())
    loop.taken = [taken - 0.005 for taken in loop.taken]
    return here, wire, loop


async def measured(
    title: str, jobs: list[aio.RunningJob], meanwhile: Callable[[], Awaitable[object]]
) -> None:
    until = asyncio.Event()
    asking = asyncio.create_task(ask(jobs, until))
    begun = time.perf_counter()
    await meanwhile()
    took = time.perf_counter() - begun
    until.set()
    here, wire, loop = await asking
    print(f"{title}, {took:.2f} s")
    print(f"  status, here      {here}")
    print(f"  status, over TCP  {wire}")
    print(f"  loop late by      {loop}", flush=True)


async def main(count: int, rounds: int, megabytes: int, directory: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(megabytes << 20)]

    def job(number: int) -> aio.Job:
        return aio.Job(directory / str(number), command, native=True, interval=None)

    begun = time.perf_counter()
    jobs = list(await asyncio.gather(*(job(number).start() for number in range(count))))
    try:

        async def running(job: aio.RunningJob) -> None:
            async for event in job.events():
                if event.kind == "running":
                    return

        await asyncio.gather(*(running(job) for job in jobs))
        print(f"{count} jobs run after {time.perf_counter() - begun:.2f} s")
        print(f"threads of Python: {threading.active_count()}, of all: {threads()}", flush=True)
        await measured("nothing else happens", jobs, lambda: asyncio.sleep(5))
        for number in range(1, rounds + 1):

            async def checkpoint() -> None:
                done = await asyncio.gather(*(job.checkpoint(LIMIT) for job in jobs))
                assert {one.sequence for one in done} == {number}

            await measured(f"round {number}: all checkpoint", jobs, checkpoint)
        print(f"threads of Python: {threading.active_count()}, of all: {threads()}")
        mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"memory of this process, at most: {mib:.0f} MiB")
    finally:
        for one in jobs:
            one.kill()
        outcomes = await asyncio.gather(*(one.wait(LIMIT) for one in jobs))
        print(f"outcomes: { {outcome.reason for outcome in outcomes} }")


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(options.jobs, options.rounds, options.megabytes, Path(name)))
