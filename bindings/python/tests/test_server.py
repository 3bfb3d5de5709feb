"""The embedded coordinator, handles to it over the wire, and sets of it."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import threading
import time
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Callable

import pytest

import dmtcp
from conftest import LIMIT, StartWorker


def test_a_computation_is_checkpointed_and_told_of(
    computation: dmtcp.Computation, start_worker: StartWorker, tmp_path: Path
) -> None:
    events = computation.events()
    assert computation.status() == dmtcp.Status(0, False, None)
    with pytest.raises(dmtcp.CommandError) as raised:
        computation.checkpoint(LIMIT)
    assert (raised.value.slug, raised.value.fault) == ("not-running", "peer")
    for _ in range(2):
        start_worker(computation, "until_told", tmp_path / "stop")
    assert computation.wait_until_running(2, LIMIT).running
    workers = computation.workers()
    assert [worker.state for worker in workers] == ["RUNNING", "RUNNING"]
    assert workers[0].program.startswith("python") and "<table>" in workers._repr_html_()
    sealed = computation.checkpoint(timeout=timedelta(seconds=LIMIT))
    assert (sealed.round, sealed.generation, len(sealed.images)) == (1, 1, 2)
    assert sealed.images[0].path.exists()
    assert sealed.set is not None
    found = dmtcp.CheckpointSet(sealed.set.directory)
    found.verify()
    assert found.sequence == 1 and len(found.images) == 2
    computation.set_interval(timedelta(minutes=5))
    assert computation.status().interval == timedelta(minutes=5)
    computation.set_interval(None)
    assert computation.status().interval is None
    assert computation.request_checkpoint() == 2
    kinds = []
    for event in events:
        kinds.append(event.kind)
        if kinds.count("checkpoint-complete") == 2:
            break
    assert kinds.count("worker-joined") == 2
    assert kinds.count("set-sealed") == 2 and "barrier-released" in kinds
    assert "dmtcp_" in computation.metrics() and computation.trace().startswith(("[", "{"))
    assert computation.key_values() == {}
    computation.kill_workers(LIMIT)
    assert computation.status().peers == 0
    with pytest.raises(dmtcp.TimeoutError, match="no event"):
        while True:
            assert events.next(0.01) is not None
    computation.close()
    # It ends with its computation, instead of waiting for ever.
    assert "checkpoint-started" not in [event.kind for event in events]


def test_workers_exit_behind_a_checkpoint(
    computation: dmtcp.Computation, start_worker: StartWorker, tmp_path: Path
) -> None:
    child = start_worker(computation, "until_told", tmp_path / "stop")
    computation.wait_until_running(1, LIMIT)
    computation.checkpoint_and_kill(LIMIT)
    assert child.wait(LIMIT) == 0
    computation.quit()
    with pytest.raises(dmtcp.ServerError) as raised:
        computation.status()
    assert (raised.value.slug, raised.value.fault) == ("closed", "caller")
    computation.close()


def test_handles_over_the_wire_say_the_same(
    computation: dmtcp.Computation, start_worker: StartWorker, tmp_path: Path
) -> None:
    start_worker(computation, "until_told", tmp_path / "stop")
    computation.wait_until_running(1, LIMIT)
    host, port = computation.address
    handles = [
        dmtcp.Coordinator(computation),
        dmtcp.Coordinator(port),
        dmtcp.Coordinator(f"{host}:{port}", timeout=timedelta(seconds=LIMIT)),
        dmtcp.Coordinator((host, port), dialect="v3"),
        dmtcp.Coordinator.detect(f"localhost:{port}"),
    ]
    for handle in handles:
        assert handle.address == (host, port)
        assert handle.status() == computation.status()
        assert handle.workers()[0].real_pid == computation.workers()[0].real_pid
    report = handles[0].checkpoint(LIMIT)
    assert (report.peers, report.evidence) == (1, "coordinator-reply")
    handles[0].set_interval(600)
    assert computation.status().interval == timedelta(minutes=10)
    assert handles[1].request_checkpoint() == 1
    handles[2].checkpoint_and_kill(LIMIT)
    handles[3].kill_workers()
    handles[4].quit()
    with pytest.raises(dmtcp.ConnectError) as raised:
        handles[0].status()
    assert raised.value.slug == "unreachable"
    assert isinstance(raised.value, ConnectionError)
    assert (raised.value.errno, raised.value.strerror, raised.value.filename) == (None,) * 3
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (type(copy), copy.args, copy.fault) == (dmtcp.ConnectError, raised.value.args, "environment")


def test_a_coordinator_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        handle = dmtcp.Coordinator(deaf.getsockname()[:2], timeout=0.2)
        begun = time.monotonic()
        with pytest.raises(dmtcp.TimeoutError, match="waited"):
            handle.status()
        assert time.monotonic() - begun < LIMIT
        # Meanwhile others run, in the same interpreter.
        slow = handle.with_timeout(3)
        failures: list[Exception] = []

        def ask() -> None:
            try:
                slow.status()
            except dmtcp.TimeoutError as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(20)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # One behind the other would take a minute.
        assert len(failures) == 20 and time.monotonic() - begun < 40


def test_addresses_that_are_none_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in [
        "127.0.0.1:here",
        ("no.such.host.invalid", 1),
        "127.0.0.1:65536",
        70000,
        ("127.0.0.1", -1),
    ]:
        with pytest.raises(dmtcp.CallerError):
            dmtcp.Coordinator(address)  # type: ignore[arg-type]
    with pytest.raises(dmtcp.CallerError, match="dialect"):
        dmtcp.Coordinator(dialect="v9")  # type: ignore[arg-type]
    for address, named in [("no.such.host.invalid:1", "no.such.host.invalid"), (0, "0")]:
        with pytest.raises(dmtcp.CallerError, match=f'^"{named}" is not a ') as raised:
            dmtcp.Coordinator(address)  # type: ignore[arg-type]
        assert raised.value.slug == "environment"
    monkeypatch.setenv("DMTCP_COORD_HOST", "no.such.host.invalid")
    with pytest.raises(dmtcp.CallerError, match="^DMTCP_COORD_HOST=.* is not a host"):
        dmtcp.Coordinator()
    monkeypatch.setenv("DMTCP_COORD_HOST", "127.0.0.1")
    monkeypatch.setenv("DMTCP_COORD_PORT", "1234")
    assert dmtcp.Coordinator().address == ("127.0.0.1", 1234)
    with dmtcp.Server() as server, pytest.raises(dmtcp.ServerError, match="listen"):
        with server.open() as one:
            server.open(address=one.address)


def test_sets_are_made_of_anybodys_coordinator(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    with dmtcp.Server() as server, server.open() as computation:
        start_worker(computation, "until_told", tmp_path / "stop")
        computation.wait_until_running(1, LIMIT)
        assert computation.checkpoint(LIMIT).set is None
        with dmtcp.SetStore(tmp_path / "state") as store:
            coordinator = dmtcp.Coordinator(computation)
            sets = dmtcp.ForeignSets(coordinator, store, image_dirs=[tmp_path / "images"])
            one = sets.checkpoint(LIMIT)
            one.verify()
            with pytest.raises(dmtcp.CallerError) as raised:
                sets.finish(1)
            assert raised.value.slug == "idle"
            assert sets.checkpoint_and_kill(LIMIT).sequence == one.sequence + 1
            assert computation.status().peers == 0


def test_a_server_ends_its_computations_and_is_kept_by_them() -> None:
    computation = dmtcp.Server().open()
    assert computation.status().peers == 0
    server = dmtcp.Server()
    other = server.open()
    server.close()
    server.close()
    with pytest.raises(dmtcp.ServerError):
        other.status()
    with pytest.raises(dmtcp.ServerError, match="closed"):
        server.open()
    computation.close()


def test_a_reader_that_was_interrupted_takes_no_event_away(
    computation: dmtcp.Computation, start_worker: StartWorker, tmp_path: Path
) -> None:
    events = computation.events()
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        next(events)
    with pytest.raises(dmtcp.TimeoutError):
        events.next(0.05)
    start_worker(computation, "until_told", tmp_path / "stop")
    first = events.next(LIMIT)
    assert first is not None and first.kind == "worker-joined"


@pytest.mark.parametrize("limit", [-1, float("nan"), timedelta(microseconds=-1)])
def test_what_is_no_length_of_time_is_refused(
    computation: dmtcp.Computation, limit: dmtcp.Seconds
) -> None:
    for call in [computation.checkpoint, computation.events().next]:
        with pytest.raises(dmtcp.CallerError) as raised:
            call(limit)
        assert raised.value.slug == "argument"


@pytest.mark.parametrize("limit", ["60", "1 s", b"60", [60]])
def test_a_length_of_time_is_no_text(computation: dmtcp.Computation, limit: object) -> None:
    address = computation.address
    calls: list[Callable[[], object]] = [
        lambda: computation.checkpoint(limit),  # type: ignore[arg-type]
        lambda: computation.set_interval(limit),  # type: ignore[arg-type]
        lambda: computation.events().next(limit),  # type: ignore[arg-type]
        lambda: dmtcp.Coordinator(address, timeout=limit),  # type: ignore[arg-type]
        lambda: dmtcp.Job("state", ["true"], native=True, grace=limit),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(TypeError, match="^a length of time is a number of seconds or a timedelta, not "):
            call()


def test_any_number_is_a_length_of_time(computation: dmtcp.Computation) -> None:
    for length in [60, 60.5, Decimal("60.5"), Fraction(121, 2), timedelta(minutes=1)]:
        handle = dmtcp.Coordinator(computation.address, timeout=length)  # type: ignore[arg-type]
        assert handle.status().peers == 0


def test_limits_may_be_nothing_or_for_ever(computation: dmtcp.Computation) -> None:
    with pytest.raises(dmtcp.TimeoutError):
        computation.events().next(0)
    for limit in [timedelta.max, float("inf"), None]:
        with pytest.raises(dmtcp.CommandError):
            computation.checkpoint(limit)


def test_a_signal_ends_a_question_on_the_thread_that_asks() -> None:
    """Python handles it while something is waited for; no other thread is needed for that."""

    class Alarm(Exception):
        pass

    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    def ring(*_arguments: object) -> None:
        seen.append(threads())
        # From within a handler, too.
        assert computation.status().peers == 0
        raise Alarm

    seen: list[int] = []
    before = signal.signal(signal.SIGALRM, ring)
    try:
        with dmtcp.Server() as server, server.open() as computation:
            with socket.create_server(("127.0.0.1", 0)) as deaf:
                handle = dmtcp.Coordinator(deaf.getsockname()[:2], timeout=3600)
                asked: list[Callable[[], object]] = [
                    lambda: computation.wait_until_running(1, 3600),
                    lambda: computation.events().next(3600),
                    handle.status,
                ]
                running = threads()
                for ask in asked:
                    signal.setitimer(signal.ITIMER_REAL, 0.3)
                    with pytest.raises(Alarm):
                        ask()
                assert len(seen) == len(asked) and max(seen) <= running
            assert computation.status().peers == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
