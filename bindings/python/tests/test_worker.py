"""This program as a worker: what goes through an image, and how a computation ends for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path
from typing import Any, Callable

import pytest

import dmtcp
from conftest import LIMIT, StartWorker, program


def stop_and_go_on(tmp_path: Path, name: str) -> Path:
    """Runs the program, stops it behind a checkpoint, and lets it end behind a restart."""
    stop = tmp_path / "stop"
    job = dmtcp.Job(tmp_path / "state", program(name, stop), native=True, interval=None)
    with job.start() as running:
        running.checkpoint(LIMIT)
        running.checkpoint_and_stop()
        assert running.wait(LIMIT).kind == "checkpointed"
    with job.start() as running:
        assert any(event.kind == "restarted" for event in running.events())
        stop.touch()
        assert running.wait(LIMIT).code == 0, (tmp_path / "state/application.log").read_text()
    return stop


def test_arrays_go_through_an_image_in_place(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    stop = stop_and_go_on(tmp_path, "array_worker")
    assert json.loads(Path(f"{stop}.json").read_text()) == {
        "plain": True,
        "fortran": True,
        "in fortran order": True,
        "every other": True,
        "fixed": [0, 1, 2, 3, 4, 5, 6],
        "fixed stays": True,
        "in place": True,
        "empty": 0,
        "words": ["a", ["b", None]],
    }


def test_bytes_go_through_an_image_as_they_are(tmp_path: Path) -> None:
    stop = stop_and_go_on(tmp_path, "bytes_worker")
    assert Path(f"{stop}.restored").exists()


def test_who_is_not_launched_is_told() -> None:
    assert not dmtcp.NativeWorker.was_launched()
    with pytest.raises(dmtcp.WorkerError) as raised:
        dmtcp.NativeWorker.join()
    assert (raised.value.slug, raised.value.fault) == ("not-launched", "caller")
    with pytest.raises(dmtcp.ConnectError):
        dmtcp.NativeWorker.join(1, join_limit=5)


class Worker:
    """A worker in this process, with a computation to itself."""

    def __init__(self, tmp_path: Path, computation: dmtcp.Computation) -> None:
        self.computation = computation
        self.worker = dmtcp.NativeWorker.join(computation, checkpoint_dir=tmp_path / "images")

    def checkpoint(self, state: object, kill: bool = False) -> Any:
        answers: list[Any] = []

        def ask() -> None:
            try:
                method = self.computation.checkpoint_and_kill if kill else self.computation.checkpoint
                answers.append(method(LIMIT))
            except dmtcp.DmtcpError as error:
                answers.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            done = None
            while done is None and thread.is_alive():
                done = self.worker.safe_point(state)
            return done
        finally:
            thread.join()
            self.answer = answers[0]


@pytest.fixture
def make_worker(tmp_path: Path, computation: dmtcp.Computation) -> Callable[[], Worker]:
    return lambda: Worker(tmp_path, computation)


@pytest.fixture
def here(make_worker: Callable[[], Worker]) -> Worker:
    return make_worker()


def test_a_safe_point_tells_of_its_checkpoint(here: Worker) -> None:
    assert here.worker.restore("fresh") == "fresh"
    assert here.worker.identity in [one.id for one in here.computation.workers()]
    done = here.checkpoint({"a": 1})
    assert done.generation == 1 and done.image == here.worker.image_path and done.image.exists()
    assert len(here.answer.images) == 1
    native = dmtcp.inspect(done.image).facts["native"]
    assert native["program"] == sys.executable
    assert native["args"] == sys.orig_argv[1:]
    here.worker.finish()
    here.worker.finish()
    with pytest.raises(dmtcp.WorkerError) as raised:
        here.worker.safe_point(1)
    assert raised.value.slug == "already-left"


def test_a_state_that_cannot_be_read_back_is_not_written(
    make_worker: Callable[[], Worker],
) -> None:
    class OneWay:
        def __reduce__(self) -> Any:
            return (int, ("no number",))

    for state in [lambda: None, OneWay()]:
        here = make_worker()
        with pytest.raises(dmtcp.WorkerError, match="cannot be pickled") as raised:
            here.checkpoint(state)
        assert raised.value.slug == "state"
        # It has left, so that the others do not wait for its image.
        assert isinstance(here.answer, dmtcp.CheckpointError)
        assert here.computation.status().peers == 0
        with pytest.raises(dmtcp.WorkerError, match="left"):
            here.worker.safe_point(1)


def test_the_end_of_a_computation_ends_the_program_as_dmtcp_would(here: Worker) -> None:
    with pytest.raises(SystemExit) as raised:
        with here.worker:
            here.checkpoint(1, kill=True)
    assert raised.value.code == 0
    with pytest.raises(dmtcp.WorkerError):
        here.worker.safe_point(2)


def test_a_lost_coordinator_is_told(
    here: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    here.computation.close()
    with pytest.raises(SystemExit) as raised:
        with here.worker:
            while True:
                here.worker.safe_point(0)
    assert raised.value.code == 99
    assert "coordinator" in capsys.readouterr().err


def test_an_exception_of_the_program_passes_and_leaves(here: Worker) -> None:
    with pytest.raises(KeyError):
        with here.worker:
            raise KeyError
    with pytest.raises(dmtcp.WorkerError):
        here.worker.safe_point(0)


def test_one_image_is_restored_by_name_and_kinds_are_not_mixed_up(
    here: Worker, tmp_path: Path
) -> None:
    image = here.checkpoint([1, 2]).image
    here.worker.finish()
    for raw in [True, False]:
        with dmtcp.Server() as server, server.open() as computation:
            again = dmtcp.NativeWorker.join(
                computation, image=image, checkpoint_dir=tmp_path / "next"
            )
            if raw:
                memory = again.restore_bytes()
                assert memory is not None and bytes(memory[:8]) == b"DMTCPPY1"
                again.finish()
                continue
            with pytest.raises(dmtcp.WorkerError) as raised:
                again.finish()
            assert raised.value.slug == "not-restored"


def test_a_virtual_environment_is_found_again(tmp_path: Path) -> None:
    """The executable of one is a link to that of another, which does not have this package."""
    home = tmp_path / "venv"
    venv.create(home, symlinks=True)
    site = next(home.glob("lib/python*/site-packages"))
    package = Path(dmtcp.__file__).parent
    (site / "ours.pth").write_text(f"{package.parent}\n")
    stop = tmp_path / "stop"
    command = [str(home / "bin" / "python"), *program("until_told", stop)[1:]]
    job = dmtcp.Job(tmp_path / "state", command, native=True, interval=None)
    with job.start() as running:
        running.checkpoint(LIMIT)
        running.checkpoint_and_stop()
    with job.start() as running:
        running.checkpoint(LIMIT)
        assert running.computation is not None
        pid = running.computation.workers()[0].real_pid
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        assert os.fsdecode(words[0]) == command[0]
        stop.touch()
    assert running.outcome is not None and running.outcome.code == 0


def test_a_safe_point_costs_next_to_nothing() -> None:
    """Without limits of time: that is `benchmarks/`. Here: nothing is pickled when nothing is asked."""
    code = """
import dmtcp
class Never:
    def __reduce__(self): raise AssertionError("pickled")
with dmtcp.Server() as server, server.open() as computation:
    worker = dmtcp.NativeWorker.join(computation)
    for _ in range(10_000):
        assert worker.safe_point(Never()) is None
    assert not worker.is_asked()
    worker.finish()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=LIMIT)


@pytest.mark.parametrize("state", ["text", 5, [b"a", None], memoryview(b"abcd")[::2]])
def test_what_is_no_memory_is_not_written(here: Worker, state: object) -> None:
    here.worker.safe_point = here.worker.safe_point_bytes  # type: ignore[method-assign]
    with pytest.raises(dmtcp.WorkerError, match="contiguous") as raised:
        here.checkpoint(state)
    assert (raised.value.slug, raised.value.fault) == ("state", "caller")
    assert isinstance(here.answer, dmtcp.CheckpointError)


def test_an_interrupted_safe_point_leaves(here: Worker, tmp_path: Path) -> None:
    """Its state may change from then on, and half of that must not be taken for whole."""
    other = dmtcp.NativeWorker.join(here.computation, checkpoint_dir=tmp_path / "other")
    here.computation.wait_until_running(2, LIMIT)
    here.computation.request_checkpoint()

    def interrupt() -> None:
        while not any(one.barrier for one in here.computation.workers()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    state = bytearray(1 << 20)
    with pytest.raises(KeyboardInterrupt):
        while True:
            here.worker.safe_point_bytes(state)
    # Nothing has it any more.
    state.append(1)
    thread.join()
    with pytest.raises(dmtcp.WorkerError) as raised:
        here.worker.safe_point(1)
    assert raised.value.slug == "already-left"
    assert list((tmp_path / "images").iterdir()) == []
    other.finish()


def test_a_worker_leaves_although_a_call_has_it(here: Worker, tmp_path: Path) -> None:
    other = dmtcp.NativeWorker.join(here.computation, checkpoint_dir=tmp_path / "other")
    here.computation.wait_until_running(2, LIMIT)
    here.computation.request_checkpoint()
    ended: list[dmtcp.DmtcpError] = []

    def answer() -> None:
        try:
            while True:
                here.worker.safe_point(1)
        except dmtcp.WorkerExit as error:
            ended.append(error)

    thread = threading.Thread(target=answer)
    thread.start()
    while not any(one.barrier for one in here.computation.workers()):
        time.sleep(0.01)
    with pytest.raises(dmtcp.WorkerError) as raised:
        here.worker.identity
    assert raised.value.slug == "busy"
    here.worker.__exit__(KeyError, KeyError(), None)
    thread.join(LIMIT)
    assert len(ended) == 1
    other.finish()
