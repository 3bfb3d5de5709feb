"""Jobs: started, checkpointed, stopped, gone on with, and how they end."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import dmtcp
from conftest import LIMIT, program


def sum_job(state: Path, count: int = 50, pause: float = 0.01, **settings: object) -> dmtcp.Job:
    command = program("sum_worker", count, pause)
    settings = {"interval": None, **settings}
    return dmtcp.Job(state, command, native=True, **settings)  # type: ignore[arg-type]


def output(state: Path) -> list[str]:
    return (state / "application.log").read_text().splitlines()


def test_a_job_runs_to_its_end_and_then_does_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    outcome = sum_job(state).run()
    assert (outcome.kind, outcome.reason, outcome.code) == ("finished", "exit", 0)
    assert outcome.finished and not outcome.to_be_run_again
    assert outcome.exit_code == 0 and outcome.exit_signal is None
    assert outcome.started <= outcome.ended <= datetime.now().astimezone()
    assert output(state) == ["from 0", "sum 1225"]
    assert sum_job(state).run().reason == "finished-before"
    assert output(state) == ["from 0", "sum 1225"]


def test_a_job_stops_behind_a_checkpoint_and_goes_on_from_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with sum_job(state, 100, 0.02).start() as running:
        first = running.checkpoint(timeout=timedelta(seconds=LIMIT))
        assert first.sequence == 1
        first.verify()
        running.checkpoint_and_stop(grace=LIMIT)
        outcome = running.wait(LIMIT)
    assert (outcome.kind, outcome.reason, outcome.code) == ("checkpointed", "requested", 85)
    assert outcome.set == 2 and outcome.to_be_run_again
    assert running.outcome == outcome
    assert [one.sequence for one in sum_job(state).sets()] == [2, 1]
    with sum_job(state, 100, 0.02).start() as running:
        kinds = [event.kind for event in running.events()]
    assert kinds[0] == "began" and "restarted" in kinds and kinds[-1] == "ended"
    start, *rest = output(state)
    assert start == "from 0" and rest[-1] == "sum 4950"
    assert int(rest[0].split()[1]) > 0
    assert running.outcome is not None and running.outcome.finished


def test_events_tell_what_happens(tmp_path: Path) -> None:
    running = sum_job(tmp_path / "state", 5).start()
    events = list(running.events())
    assert [event.kind for event in events if event.kind != "planned"] == [
        "began",
        "started",
        "running",
        "ended",
    ]
    assert events[-1].data["outcome"]["slug"] == "finished"
    assert "run 1 begins" in str(events[0])
    assert all(one.time <= next.time for one, next in zip(events, events[1:]))
    assert running.wait(0).finished
    assert list(running.events()) == []


def test_a_killed_job_keeps_its_sets(tmp_path: Path) -> None:
    with sum_job(tmp_path / "state", 10**6).start() as running:
        running.checkpoint(LIMIT)
        assert running.computation is not None
        assert running.computation.status().peers == 1
        running.kill()
        outcome = running.wait(LIMIT)
    assert (outcome.kind, outcome.reason, outcome.code) == ("try-again", "killed", 75)
    assert len(running.state_dir.joinpath("sets", "latest").resolve().name) == 6


def test_a_wait_has_its_limit_and_leaves_the_job_alone(tmp_path: Path) -> None:
    with sum_job(tmp_path / "state", 10**6).start() as running:
        with pytest.raises(dmtcp.TimeoutError, match="still runs") as raised:
            running.wait(timeout=0.05)
        assert isinstance(raised.value, TimeoutError)
        assert raised.value.slug == "timed-out"
        running.checkpoint(LIMIT)
        running.kill()


def test_one_signal_is_no_sequence_of_them(tmp_path: Path) -> None:
    with pytest.raises(dmtcp.CallerError, match=r"as in \['TERM'\]"):
        dmtcp.Job(tmp_path, ["true"], native=True, on_signal="TERM")


def test_what_keeps_a_job_from_beginning_is_raised(tmp_path: Path) -> None:
    state = tmp_path / "state"
    sum_job(state).run()
    with pytest.raises(dmtcp.JobError) as raised:
        sum_job(state, 51).run()
    assert (raised.value.slug, raised.value.fault) == ("other-program", "caller")
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (type(copy), str(copy), copy.slug) == (
        dmtcp.JobError,
        str(raised.value),
        "other-program",
    )
    with pytest.raises(dmtcp.JobError) as raised:
        dmtcp.Job(tmp_path / "nothing", native=True).run()
    assert raised.value.slug == "no-job"


def test_exit_codes_are_the_programs_own_and_others_can_be_chosen(tmp_path: Path) -> None:
    quits = dmtcp.Job(
        tmp_path / "quits",
        [sys.executable, "-c", "import dmtcp; w = dmtcp.NativeWorker.join(); w.finish(); exit(7)"],
        native=True,
    )
    outcome = quits.run()
    assert (outcome.kind, outcome.code, outcome.exit_code) == ("finished", 7, 7)
    stopped = sum_job(
        tmp_path / "stopped",
        10**6,
        stop_after_checkpoint=True,
        exit_codes={"checkpointed": 99},
    )
    with stopped.start() as running:
        running.checkpoint(LIMIT)
        assert running.wait(LIMIT).code == 99
    missing = dmtcp.Job(tmp_path / "missing", ["/nowhere/to/be/found"], native=True)
    outcome = missing.run()
    assert (outcome.kind, outcome.code) == ("failed-before-ready", 170)
    late = sum_job(tmp_path / "late", 10**6, time_limit=3)
    assert late.run().kind == "timed-out"


@pytest.mark.parametrize(
    "settings",
    [
        {"interval": "soon"},
        {"interval": -1},
        {"grace": float("nan")},
        {"begin": "later"},
        {"exit_codes": {"lost": 3}},
        {"on_signal": ["NOSUCH"]},
        {"walltime_end": "tomorrow"},
        {"env": {"A": "nul \0"}},
        {"keep": -1},
        {"tries": -1},
        {"max_restarts_without_progress": 1 << 32},
        {"exit_codes": {"checkpointed": 256}},
        {"walltime_end": timedelta.max},
    ],
)
def test_settings_that_cannot_be_used_are_named(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    with pytest.raises(dmtcp.CallerError) as raised:
        sum_job(tmp_path, **settings).start()  # type: ignore[arg-type]
    assert raised.value.fault == "caller"
    assert isinstance(raised.value, ValueError)


def test_one_text_is_no_command_line(tmp_path: Path) -> None:
    with pytest.raises(dmtcp.CallerError, match="sequence"):
        dmtcp.Job(tmp_path, "sleep 1", native=True)


def test_an_object_that_goes_takes_its_processes_along(tmp_path: Path) -> None:
    running = sum_job(tmp_path / "state", 10**6).start()
    running.checkpoint(LIMIT)
    assert running.computation is not None
    pid = running.computation.workers()[0].real_pid
    os.kill(pid, 0)
    del running
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_block_that_raises_stops_its_job_with_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        with sum_job(tmp_path / "state", 10**6).start() as running:
            running.checkpoint(LIMIT)
            1 / 0
    assert running.outcome is not None and running.outcome.kind == "checkpointed"


SIGNALLED = """
import signal, sys, threading, time
import dmtcp
job = dmtcp.Job(sys.argv[1], sys.argv[3:], native=True, interval=None, on_signal=["TERM", "USR1"])
before = signal.getsignal(signal.SIGTERM)
def tell():
    contact = None
    while True:
        try:
            coordinator = dmtcp.Contact(sys.argv[1]).coordinator()
            if coordinator.status().running:
                break
        except dmtcp.DmtcpError:
            pass
        time.sleep(0.05)
    signal.pthread_kill(threading.main_thread().ident, getattr(signal, sys.argv[2]))
threading.Thread(target=tell).start()
outcome = job.run()
assert signal.getsignal(signal.SIGTERM) == before
print(outcome.kind, outcome.reason)
sys.exit(outcome.code)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_signals_checkpoint_and_stop(tmp_path: Path, name: str) -> None:
    words = [sys.executable, "-c", SIGNALLED, str(tmp_path / "state"), name]
    words += program("sum_worker", 10**6)
    ran = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT)
    assert (ran.stdout, ran.returncode) == ("checkpointed signal-received\n", 85), ran.stderr


def test_other_processes_find_the_job_by_its_directory(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with pytest.raises(dmtcp.JobError) as raised:
        dmtcp.Contact(state)
    assert raised.value.slug == "no-job"
    job = sum_job(state, 10**6)
    running = job.start()
    running.checkpoint(LIMIT)
    contact = dmtcp.Contact(state)
    assert contact.standing == "running" and contact.is_running
    assert contact.outcome is None and contact.record["owner"]["pid"] == os.getpid()
    assert contact.coordinator().status().peers == 1
    assert contact.last_set is not None and contact.last_set["sequence"] == 1
    with pytest.raises(dmtcp.TimeoutError):
        contact.wait_for_outcome(0.05)
    stopped = contact.checkpoint_and_stop(LIMIT)
    assert stopped.was_running and stopped.not_checkpointed is None
    assert stopped.outcome is not None and stopped.outcome.kind == "checkpointed"
    assert stopped.outcome == running.wait(LIMIT)
    assert contact.wait_for_outcome(LIMIT) == stopped.outcome
    assert dmtcp.Contact(state).standing == "not-running"
    with job.start() as running:
        running.checkpoint(LIMIT)
        assert dmtcp.Contact(state).kill().was_running


def test_waiting_lets_other_threads_run(tmp_path: Path) -> None:
    done = threading.Event()
    steps = 0

    def count() -> None:
        nonlocal steps
        while not done.is_set():
            steps += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        sum_job(tmp_path / "state", 30, 0.02).run()
    finally:
        done.set()
        thread.join()
    assert steps > 50


def test_ctrl_c_ends_a_wait_and_not_the_job(tmp_path: Path) -> None:
    with sum_job(tmp_path / "state", 10**6).start() as running:
        running.checkpoint(LIMIT)
        main = threading.main_thread().ident
        assert main is not None
        timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            running.wait(LIMIT)
        assert running.outcome is None
        running.checkpoint(LIMIT)
        running.kill()


def test_notebooks_show_tables(tmp_path: Path) -> None:
    job = sum_job(tmp_path / "state", 10**6, stop_after_checkpoint=True)
    with job.start() as running:
        running.checkpoint(LIMIT)
    assert running.outcome is not None
    assert "checkpointed" in running.outcome._repr_html_()
    html = job.sets()._repr_html_()
    assert html.startswith("<table>") and "<td>1</td>" in html and "python" in html
    assert "checkpointed" in repr(running)
