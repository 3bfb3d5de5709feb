"""A use of all that is public, for mypy --strict alone: it is never run."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import dmtcp
from dmtcp import aio


def jobs(state: Path) -> int:
    job = dmtcp.Job(
        state,
        ["./simulate", Path("input")],
        tools=dmtcp.Tools.find(),
        interval=timedelta(minutes=10),
        walltime_end=[datetime.now(), timedelta(hours=4), "slurm"],
        on_signal=["TERM", 10],
        keep=3,
    )
    with job.start() as running:
        first: dmtcp.CheckpointSet = running.checkpoint(timeout=60)
        for event in running.events():
            print(event.kind, event.time.isoformat(), event.data.get("set"))
        images: list[Path] = first.images
        print(images)
    outcome: dmtcp.Outcome = job.run()
    if outcome.kind == "checkpointed":
        return outcome.code
    return outcome.exit_code or 0


def coordinators() -> dmtcp.Status:
    coordinator = dmtcp.Coordinator.detect("localhost:7779")
    report = coordinator.checkpoint(timedelta(seconds=5))
    print(report.peers + 1, coordinator.workers()[0].host.upper())
    with dmtcp.Server() as server, server.open(sets="state") as computation:
        child = dmtcp.Launch(["sleep", "5"], coordinator=computation, gzip=False).spawn()
        ended: dmtcp.Exit = child.wait(10)
        print(ended.returncode)
        dmtcp.Restart(["ckpt_a.dmtcp"], coordinator=computation).spawn().detach()
        return computation.status()


def worker() -> float:
    with dmtcp.NativeWorker.join() as one:
        state: dict[str, float] = one.restore({"sum": 0.0})
        done = one.safe_point(state)
        if done is not None:
            print(done.generation, done.image.name)
        return state["sum"]


async def everything() -> dmtcp.Outcome:
    coordinator = await aio.Coordinator.detect(7779)
    status: dmtcp.Status = await coordinator.status()
    print(status.peers)
    async with await aio.Job("state", native=True).start() as running:
        async for event in running.events():
            print(event)
        return await running.wait(timedelta(hours=1))


def failures() -> str:
    try:
        dmtcp.SetStore("state").newest_verified()
    except dmtcp.SetError as error:
        fault: dmtcp.Fault = error.fault
        return fault + error.slug
    except dmtcp.WorkerExit as error:
        return str(error.exit_code)
    return ""
