"""One try at a task: starts its program or goes on with it, and tells what came of that.

Not here: what an engine does then, and what is done with files of the task.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dmtcp
from dmtcp._time import seconds

from ._place import Command, Place
from ._report import Report, TaskFailed, TaskInterrupted
from ._settings import Settings

log = logging.getLogger("dmtcp.integrations")

#: How long a wait may take before the interpreter gets to run signal handlers and what another thread has
#: raised here.
_PULSE = 0.25
_LAST_OUTPUT = 4096

_running: set[Try] = set()
_running_lock = threading.Lock()


class Try:
    """One try. ``run`` may be called once; ``stop`` may be called meanwhile, from a signal handler of the
    same thread or from any other one.

    ``stop_signals`` make it stop; main thread only. ``shield_from`` are signals that its programs get from
    elsewhere, too, and shall not hear.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        place: Place,
        settings: Settings,
        *,
        stop_signals: Sequence[int] = (),
        shield_from: Sequence[int] = (),
        show_output: bool = False,
    ) -> None:
        self.name = name
        self.argv = [os.fspath(word) for word in argv]
        self.place = place
        self.settings = settings
        self._stop_signals = tuple(stop_signals)
        self._shield_from = tuple(shield_from)
        self._show_output = show_output
        self._job: dmtcp.RunningJob | None = None
        self._outcome: dmtcp.Outcome | None = None
        self._stopped = False

    def run(self) -> Report:
        """Runs it to its end, or to where it is stopped.

        Raises :class:`TaskInterrupted` or :class:`TaskFailed` unless the program has finished with 0. Where
        anything else is raised meanwhile, as by a time limit of the engine, it is checkpointed and stopped.
        """
        self._announce()
        with self._heeding():
            return self._run()

    def _run(self) -> Report:
        give_up = time.monotonic() + seconds(self.settings.held_timeout)
        while True:
            progress = _Progress(self.name, self.place.state / "execution.log")
            outcome = self._run_once(progress)
            held = outcome.reason == "held"
            if not held or self._stopped or time.monotonic() > give_up:
                break
            # There is nothing to checkpoint: a signal ends the wait.
            self._job = None
            log.info("%s: another process still has it: %s", self.name, outcome.text)
            time.sleep(1)
        report = self._report(outcome, progress.resumed_from)
        log.log(logging.INFO if report.succeeded else logging.WARNING, "%s", report)
        if report.succeeded:
            return report
        raise TaskInterrupted(report) if report.goes_on else TaskFailed(report)

    def stop(self, grace: float | None = None) -> None:
        """Has it checkpointed and stopped, and waits for that; nothing if it does not run."""
        self._stopped = True
        job = self._job
        if job is None or self._outcome is not None:
            return
        limit = seconds(self.settings.grace) if grace is None else grace
        job.checkpoint_and_stop(limit)
        try:
            # To kill what does not stop in time is the job's own affair; this is for a machine that is slow.
            self._outcome = job.wait(timeout=limit + 60)
        except TimeoutError:
            job.kill()
            self._outcome = job.wait(timeout=60)

    @contextlib.contextmanager
    def _heeding(self) -> Iterator[None]:
        """The signals at which it is to stop ask for that. One of them, a second or more later, kills; some
        schedulers send the same in two ways at the same time."""
        asked: float | None = None

        def stop(number: int, _frame: Any) -> None:
            nonlocal asked
            if self._job is None:
                raise SystemExit(128 + number)
            now = time.monotonic()
            if asked is None:
                log.info("%s: asked to stop by signal %d", self.name, number)
                asked = now
                self._job.checkpoint_and_stop()
            elif now - asked >= 1:
                self._job.kill()

        before = {number: signal.signal(number, stop) for number in self._stop_signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run_once(self, progress: _Progress) -> Any:
        self.place.state.parent.mkdir(parents=True, exist_ok=True)
        self._outcome = None
        job = _job(self.argv, self.place, self.settings, self._show_output)
        # The job's own thread has the mask of this one, and its programs have that one's, restarted ones
        # included: those do not hear what is meant for this process.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._shield_from)
        try:
            self._job = job.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        with _running_lock:
            _running.add(self)
        try:
            while self._outcome is None:
                progress.tell()
                try:
                    self._outcome = self._job.wait(timeout=_PULSE)
                except TimeoutError:
                    continue
        except BaseException as error:
            if self._outcome is None and not isinstance(error, dmtcp.DmtcpError):
                log.warning("%s: checkpointed and stopped because of %r", self.name, error)
                self.stop()
            raise
        finally:
            progress.tell()
            with _running_lock:
                _running.discard(self)
        return self._outcome

    def _announce(self) -> None:
        newest = self.place.newest_set()
        others = self.place.others()
        if newest is not None:
            log.info("%s: goes on from the sets in %s", self.name, self.place.state)
        elif others:
            log.info(
                "%s: begins afresh in %s; its parameters or files are others than those of %s",
                self.name,
                self.place.state,
                ", ".join(str(other) for other in others),
            )
        else:
            log.info("%s: begins afresh in %s", self.name, self.place.state)

    def _report(self, outcome: dmtcp.Outcome, resumed_from: int | None) -> Report:
        succeeded = outcome.kind == "finished" and outcome.code == 0
        return Report(
            name=self.name,
            kind=outcome.kind,
            reason=outcome.reason,
            code=outcome.code,
            text=outcome.text,
            hint=outcome.hint,
            state_dir=str(self.place.state),
            resumed_from=resumed_from,
            last_output="" if succeeded else _tail(self.place.state / "application.log"),
        )


def stop_all(grace: float | None = None) -> int:
    """Has all tasks that run in this process checkpointed and stopped, and waits for that.

    For whoever learns that this process, or its machine, goes away. Each task raises
    :class:`~dmtcp.integrations.TaskInterrupted` where it runs. ``grace`` in seconds, default: each task's own.
    Returns how many there were.
    """
    with _running_lock:
        tries = list(_running)
    threads = [threading.Thread(target=one.stop, args=(grace,), daemon=True) for one in tries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(tries)


def argv_of(command: Command) -> list[str]:
    """What is run for this command."""
    if isinstance(command, str):
        return ["/bin/bash", "-c", command]
    return [os.fspath(word) for word in command]


def settle(place: Place, settings: Settings) -> None:
    """What happens to the state of a task that has succeeded, once its results are where they belong."""
    if settings.keep_state:
        log.info("kept: %s", place.set_aside())
    else:
        place.forget()


def _job(argv: list[str], place: Place, settings: Settings, show_output: bool) -> dmtcp.Job:
    tools = None
    if not settings.native:
        tools = dmtcp.Tools.find(settings.tools) if settings.tools else dmtcp.Tools.find()
    return dmtcp.Job(
        place.state,
        argv,
        native=settings.native,
        tools=tools,
        env=None if settings.env is None else dict(settings.env),
        cwd=settings.cwd,
        interval=settings.interval,
        walltime_end=settings.walltime_end,
        grace=settings.grace,
        time_limit=settings.time_limit,
        keep=settings.keep,
        show_output=show_output,
    )


def _tail(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_OUTPUT))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-10:])


class _Progress:
    """Hands the new lines of ``execution.log`` to the log of the engine."""

    def __init__(self, name: str, path: Path) -> None:
        self.resumed_from: int | None = None
        self._name = name
        self._path = path
        self._rest = b""
        try:
            self._offset = path.stat().st_size
        except OSError:
            self._offset = 0

    def tell(self) -> None:
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                new = file.read()
        except OSError:
            return
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            # Without its time: the engine's log has its own.
            text = line.decode("utf-8", "replace").partition(" ")[2]
            log.info("%s: %s", self._name, text)
            restarted = re.match(r"restarted from set (\d+)", text)
            if restarted and self.resumed_from is None:
                self.resumed_from = int(restarted[1])
