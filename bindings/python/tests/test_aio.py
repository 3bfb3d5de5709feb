"""The same verbs from asyncio."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import socket
import threading
from pathlib import Path
from typing import Any, Coroutine

import pytest

import dmtcp
from dmtcp import aio
from conftest import LIMIT, program


def job(state: Path, count: int, pause: float = 0.01) -> aio.Job:
    command = program("sum_worker", count, pause)
    return aio.Job(state, command, native=True, interval=None)


def test_a_job_is_awaited(tmp_path: Path) -> None:
    async def main() -> None:
        async with await job(tmp_path, 100, 0.02).start() as running:
            events = running.events()
            one = await running.checkpoint(LIMIT)
            await aio.verify(one)
            with pytest.raises(dmtcp.TimeoutError):
                await running.wait(0.01)
            running.checkpoint_and_stop()
        assert running.outcome is not None and running.outcome.kind == "checkpointed"
        kinds = [event.kind async for event in events]
        assert kinds[0] == "began" and kinds[-1] == "ended"
        outcome = await job(tmp_path, 100, 0.02).run()
        assert outcome.finished
        contact = await aio.Contact.open(tmp_path)
        assert contact.standing == "not-running"
        assert await contact.wait_for_outcome(LIMIT) == outcome

    asyncio.run(main())


def test_a_cancelled_run_stops_with_a_checkpoint_and_leaves_no_process(tmp_path: Path) -> None:
    async def main() -> int:
        watched = job(tmp_path, 10**6)
        task = asyncio.create_task(watched.run())
        pid = -1
        while pid < 0:
            await asyncio.sleep(0.05)
            try:
                contact = await aio.Contact.open(tmp_path)
                workers = await (await contact.coordinator()).workers()
            except dmtcp.DmtcpError:
                continue
            if workers and workers[0].state == "RUNNING":
                pid = workers[0].real_pid
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pid

    pid = asyncio.run(main())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert dmtcp.Contact(tmp_path).wait_for_outcome(0).kind == "checkpointed"


def test_cancelled_questions_and_readers_lose_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            handle = aio.Coordinator(deaf.getsockname()[:2], timeout=1)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(handle.status(), 0.1)
            with pytest.raises(dmtcp.TimeoutError):
                await handle.status()
        async with aio.Server() as server, await server.open() as computation:
            events = computation.events()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(events), 0.1)
            environment = {**os.environ, **computation.environment(tmp_path)}
            words = program("sum_worker", 10**6)
            child = await asyncio.create_subprocess_exec(*words, env=environment)
            assert (await anext(events)).kind == "worker-joined"
            status = await computation.wait_until_running(1, LIMIT)
            assert status == await aio.Coordinator(computation).status()
            assert (await computation.checkpoint(LIMIT)).generation == 1
            report = await aio.Coordinator(computation).checkpoint_and_kill(LIMIT)
            assert report.peers == 1
            assert await child.wait() == 0
            assert "dmtcp_" in await computation.metrics()

    asyncio.run(main())


def test_any_number_of_calls_waits_on_one_thread() -> None:
    """Questions and readers; whoever is cancelled leaves nothing behind."""
    count = 30

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with aio.Server() as server, await server.open() as computation:
            events = [computation.events() for _ in range(count)]
            before = len(os.listdir("/proc/self/task"))
            waits: list[Coroutine[Any, Any, Any]] = [one.__anext__() for one in events]
            waits += [computation.wait_until_running(1, 3600) for _ in range(count)]
            with socket.create_server(("127.0.0.1", 0), backlog=2 * count) as deaf:
                deaf.setblocking(False)
                handle = aio.Coordinator(deaf.getsockname()[:2], timeout=3600)
                waits += [handle.status() for _ in range(count)]
                tasks = [asyncio.create_task(wait) for wait in waits]
                peers = [(await loop.sock_accept(deaf))[0] for _ in range(count)]
                assert len(os.listdir("/proc/self/task")) <= before
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                assert [type(end) for end in ended] == [asyncio.CancelledError] * len(tasks)
                for peer in peers:
                    with peer:
                        while await asyncio.wait_for(loop.sock_recv(peer, 4096), LIMIT):
                            pass
            assert (await computation.status()).peers == 0

    asyncio.run(main())


def test_a_loop_that_is_closed_is_not_told() -> None:
    async def main() -> None:
        deaf = socket.create_server(("127.0.0.1", 0))
        handle = aio.Coordinator(deaf.getsockname()[:2], timeout=0.5)
        asyncio.ensure_future(handle.status())
        await asyncio.sleep(0)

    asyncio.run(main())
    # Its thread ends, and nothing is reported to nobody.
    for thread in threading.enumerate():
        assert thread is threading.main_thread() or thread.daemon


def test_a_hundred_jobs_from_one_loop(tmp_path: Path) -> None:
    """All of them run, are asked for their status and checkpointed at the same time, with one thread of
    Python and no executor. How long that takes is measured by `benchmarks/hundred_jobs.py`."""
    count = int(os.environ.get("DMTCP_TEST_JOBS", "20"))

    async def one(number: int) -> dmtcp.Outcome:
        async with await job(tmp_path / str(number), 10**6).start() as running:
            first = await running.checkpoint(LIMIT)
            assert running.computation is not None
            assert (await running.computation.status()).peers == 1
            assert first.sequence == 1
            running.checkpoint_and_stop(LIMIT)
            return await running.wait(LIMIT)

    async def main() -> list[dmtcp.Outcome]:
        outcomes = await asyncio.gather(*(one(number) for number in range(count)))
        assert threading.active_count() == 1
        return outcomes

    outcomes = asyncio.run(main())
    assert [outcome.kind for outcome in outcomes] == ["checkpointed"] * count


def test_waiting_again_and_again_keeps_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        running = await job(tmp_path, 10**6).start()
        gc.collect()
        before = sum(isinstance(one, asyncio.Future) for one in gc.get_objects())
        for _ in range(50):
            with pytest.raises(dmtcp.TimeoutError):
                await running.wait(0.001)
        gc.collect()
        held = sum(isinstance(one, asyncio.Future) for one in gc.get_objects()) - before
        assert held < 5
        for limit in [-1, float("nan")]:
            with pytest.raises(dmtcp.CallerError):
                await running.wait(limit)
        running.kill()
        both = await asyncio.gather(running.wait(LIMIT), running.wait(LIMIT))
        assert both[0] == both[1] == await running.wait(0)

    asyncio.run(main())


def test_a_reader_of_one_loop_leaves_its_event_to_the_next(tmp_path: Path) -> None:
    with dmtcp.Server() as server, server.open() as sync:
        events = aio.Computation(sync._native, server).events()

        async def read(limit: float) -> dmtcp.Event:
            return await asyncio.wait_for(anext(events), limit)

        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(read(0.1))
        worker = dmtcp.NativeWorker.join(sync, checkpoint_dir=tmp_path)
        assert asyncio.run(read(LIMIT)).kind == "worker-joined"
        worker.finish()
        assert asyncio.run(read(LIMIT)).kind in ("worker-updated", "worker-left")


PAIRS = [
    (getattr(dmtcp, name), getattr(aio, name))
    for name in aio.__all__
    if hasattr(dmtcp, name) and inspect.isclass(getattr(aio, name))
]


@pytest.mark.parametrize(("sync", "mirrored"), PAIRS, ids=lambda kind: kind.__name__)
def test_names_are_the_same(sync: type, mirrored: type) -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    # What needs no waiting, or is rarely needed, is left to the other.
    left_out = {
        "Coordinator": {"with_timeout", "checkpoint_dir", "set_log_mask"},
        "SetStore": {"directory", "peek", "retain", "sweep"},
        "Computation": {"key_values", "trace"},
        "RunningJob": {"state_dir"},
        "Events": {"next"},
    }
    missing = public(sync) - public(mirrored)
    assert missing == left_out.get(sync.__name__, set())
