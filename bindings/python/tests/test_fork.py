"""Behind a fork: the parent's objects refuse, the child's own work, and the parent's go on."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Callable

import pytest

import dmtcp
from dmtcp import aio
from conftest import LIMIT, program


def in_child(work: Callable[[], None]) -> None:
    """Runs `work` in a forked child, which must end by itself."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_objects_of_the_parent_refuse_and_new_ones_work(tmp_path: Path) -> None:
    command = program("sum_worker", 10**6)
    job = dmtcp.Job(tmp_path / "job", command, native=True, interval=None)
    server = dmtcp.Server()
    computation = server.open(sets=tmp_path / "state")
    worker = dmtcp.NativeWorker.join(computation, checkpoint_dir=tmp_path)
    held: list[object] = [server, computation, worker]
    with job.start() as running:
        running.checkpoint(LIMIT)

        def child() -> None:
            refused: list[Callable[[], object]] = [
                computation.status,
                computation.events,
                server.open,
                running.kill,
                lambda: running.wait(1),
                lambda: running.outcome,
                worker.is_asked,
                lambda: worker.safe_point(1),
            ]
            for call in refused:
                with pytest.raises(dmtcp.ForkError, match="fork") as raised:
                    call()
                assert (raised.value.slug, raised.value.fault) == ("forked", "caller")
            # A handle to a coordinator holds nothing, so it works: that of the parent answers.
            assert dmtcp.Coordinator(computation.__class__ and address).status().peers == 1
            with dmtcp.Server() as own, own.open() as other:
                assert other.status().peers == 0
            short = program("sum_worker", 3)
            outcome = dmtcp.Job(tmp_path / "child", short, native=True).run()
            assert outcome.finished, outcome
            # That these go must not end what the parent has.
            held.clear()
            gc.collect()

        address = computation.address
        in_child(child)
        # Whatever the child let go of, here nothing has changed.
        assert worker.safe_point(0) is None
        assert computation.status().peers == 1
        assert running.checkpoint(LIMIT).sequence == 2
        running.kill()
        assert running.wait(LIMIT).reason == "killed"
    worker.finish()
    computation.close()


def test_asyncio_works_on_both_sides() -> None:
    with dmtcp.Server() as server, server.open() as computation:
        mirrored = aio.Coordinator(computation)

        async def ask() -> None:
            answers = await asyncio.gather(*(mirrored.status() for _ in range(10)))
            assert [status.peers for status in answers] == [0] * 10

        asyncio.run(ask())
        in_child(lambda: asyncio.run(ask()))
        asyncio.run(ask())


def test_a_child_that_inherits_objects_ends_without_them(tmp_path: Path) -> None:
    """Objects of the parent are dropped when the interpreter of the child ends in order."""
    code = f"""
import multiprocessing, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import dmtcp
from conftest import LIMIT, program

def work():
    pass

job = dmtcp.Job({str(tmp_path / "job")!r}, program("sum_worker", 10**6), native=True, interval=None)
with job.start() as running:
    running.checkpoint(LIMIT)
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(LIMIT)
    assert child.exitcode == 0, child.exitcode
    running.checkpoint(LIMIT)
    running.kill()
assert running.outcome.reason == "killed"
print("right")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=2 * LIMIT
    )
    assert (ran.stdout, ran.returncode) == ("right\n", 0), ran.stderr


def test_a_program_that_ends_takes_its_jobs_along(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import dmtcp
from conftest import LIMIT, program
job = dmtcp.Job({str(tmp_path / "job")!r}, program("sum_worker", 10**6), native=True, interval=None)
running = job.start()
running.checkpoint(LIMIT)
print(running.computation.workers()[0].real_pid)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=2 * LIMIT
    )
    assert ran.returncode == 0, ran.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(ran.stdout), 0)
    assert dmtcp.Contact(tmp_path / "job").wait_for_outcome(0).reason == "killed"


KILLED = """
import os, sys, time
sys.path.insert(0, sys.argv[2])
import dmtcp
from conftest import LIMIT, program
job = dmtcp.Job(sys.argv[1], program("sum_worker", 10**6), native=True, interval=None)
running = job.start()
running.checkpoint(LIMIT)
server = dmtcp.Server()
computation = server.open()
worker = dmtcp.NativeWorker.join(computation, checkpoint_dir=sys.argv[1])
computation.wait_until_running(1, LIMIT)
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
address = running.computation.address
print(running.computation.workers()[0].real_pid, child, *address, *computation.address, flush=True)
time.sleep(LIMIT)
"""


def test_a_child_that_outlives_its_parent_holds_nothing_of_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    words = [sys.executable, "-c", KILLED, str(state), str(Path(__file__).parent)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, text=True, **pipes) as parent:  # type: ignore[call-overload]
        pid, child, *addresses = parent.stdout.readline().split()
        parent.kill()
        parent.wait()
        os.kill(int(child), 0)
        for host, port in zip(addresses[::2], addresses[1::2]):
            with pytest.raises(dmtcp.ConnectError):
                dmtcp.Coordinator((host, int(port))).status()
        # Its worker has noticed, and the job can be gone on with.
        with dmtcp.Job(state, program("sum_worker", 10**6), native=True).start() as running:
            assert running.checkpoint(LIMIT).sequence == 2
            running.kill()
        try:
            # A process that nobody has waited for yet is over, too.
            assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            pass
