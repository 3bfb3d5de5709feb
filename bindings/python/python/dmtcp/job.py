"""Jobs: one program and its state directory; a call that starts it or goes on."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Iterator, Literal, Mapping, Optional, Sequence, Union

from . import _native
from ._errors import CallerError, DmtcpError
from ._fork import keep_from_children, keep_locks_from_children
from ._time import Seconds, seconds
from ._values import Outcome, Sealed
from .coordinator import CHECKPOINT_TIMEOUT, Coordinator
from .server import Computation, Events, Server, _default
from .sets import CheckpointSet, CheckpointSets, SetStore
from .tools import Messages, StrPath, Tools, program

Begin = Literal["go-on", "start", "fresh", "restart"]
"""What a run begins with: the newest set, or afresh if there is none (``go-on``); afresh, refused
where there is something to go on from (``start``) or not (``fresh``); the newest set (``restart``)."""

WalltimeEnd = Union[datetime, timedelta, str]
"""When everything is killed: a point in time, a time from now, ``"slurm"`` for the end of the Slurm
job that this process is in, or a text as of ``dmtcpctl run --walltime-end``."""

SignalName = Union[int, str]
"""A signal by number or name, with or without ``SIG``."""

_alive: weakref.WeakSet[RunningJob] = weakref.WeakSet()


class Job:
    """One program and its state directory: :meth:`run` starts it or goes on from its newest checkpoint
    set, takes checkpoints, and ends with an :class:`Outcome` that schedulers understand.

    The same job can be run again and again, as a batch script does; each run is one process's, and
    another one that is started meanwhile ends at once with ``try-again``. Nothing happens before
    :meth:`run` or :meth:`start`.
    """

    def __init__(
        self,
        state_dir: StrPath,
        argv: Optional[Sequence[StrPath]] = None,
        *,
        native: bool = False,
        tools: Optional[Tools] = None,
        env: Optional[Mapping[str, str]] = None,
        cwd: Optional[StrPath] = None,
        interval: Union[Seconds, Literal["auto"], None] = "auto",
        walltime_end: Union[WalltimeEnd, Sequence[WalltimeEnd], None] = None,
        notice_file: Optional[StrPath] = None,
        grace: Seconds = timedelta(seconds=90),
        time_limit: Optional[Seconds] = None,
        ready_limit: Seconds = timedelta(minutes=5),
        keep: int = 2,
        on_signal: Sequence[SignalName] = (),
        id: Optional[str] = None,
        begin: Begin = "go-on",
        stop_after_checkpoint: bool = False,
        show_output: bool = False,
        inherit_stdin: bool = False,
        max_restarts_without_progress: int = 5,
        restart_limit: Optional[Seconds] = None,
        tries: Optional[int] = None,
        any_host: bool = False,
        exit_codes: Optional[Mapping[str, int]] = None,
        gzip: bool = True,
        checkpoint_open_files: bool = False,
        messages: Messages = "all",
        raw_options: Sequence[str] = (),
        trace: Optional[StrPath] = None,
        metrics: Optional[StrPath] = None,
        register: bool = False,
        server: Optional[Server] = None,
    ) -> None:
        """
        Args:
            state_dir: All that is known of the job; made if it is not there (``docs/JOBS.md``).
            argv: The program and its arguments; ``None``: what is in the newest set.
            native: Whether the program is a worker by itself (:class:`dmtcp.NativeWorker`); else it runs
                under DMTCP.
            tools: DMTCP's programs; found if not given and not ``native``.
            env: Variables that are set for the program beside those of this process.
            cwd: Where the program starts; here if not given.
            interval: Between periodic checkpoints: ``"auto"`` is as far apart as costs the least time;
                ``None``: only when asked for.
            walltime_end: When everything is killed; the job checkpoints and stops in time before. Of
                several the earliest counts.
            notice_file: It checkpoints and stops, too, once this file appears or changes.
            grace: How long a last checkpoint and the end may take.
            time_limit: How long a run may take; then everything is killed without a checkpoint.
            ready_limit: How long a fresh start may take until all processes run.
            keep: How many sets stay behind each new one.
            on_signal: Signals for which :meth:`run` makes a last checkpoint and stops, beside Ctrl-C.
                Their handlers are set while it runs, in the main thread only.
            id: A name; only written down.
            begin: What to begin with.
            stop_after_checkpoint: Whether to stop behind the first complete set.
            show_output: Whether the program's output appears on this process's, too, and not only in
                ``application.log``.
            inherit_stdin: Whether the program reads what this process would.
            max_restarts_without_progress: Restarts without a newer set before it gives up.
            restart_limit: How long one try at a restart may take; by the size of the set if not given.
            tries: How often a set is tried before the one before it is; 3 if not given.
            any_host: Whether sets are tried that this host seems not to be able to restore.
            exit_codes: Other codes for ``checkpointed``, ``try-again``, ``failed-before-ready``,
                ``failed-to-restore``, ``timed-out``.
            gzip: Whether DMTCP compresses images.
            checkpoint_open_files: Whether images hold the contents of open files, too.
            messages: Which of DMTCP's messages appear.
            raw_options: Further options of ``dmtcp_launch``, unchecked.
            trace: File for a trace of the last rounds.
            metrics: File for counters, as Prometheus' node_exporter reads them.
            register: Whether ``dmtcpctl list`` shows it.
            server: On which its coordinator runs; one for all jobs of this process if not given.

        Raises:
            ToolError: DMTCP's programs are not there.
            CallerError: An argument that cannot be used.
        """
        self._state_dir = Path(state_dir)
        self._server = server
        if isinstance(on_signal, (str, int)):
            text = f"on_signal is a sequence of signals, as in [{on_signal!r}], not one"
            raise CallerError(text, "argument", "caller")
        self._signals = [_signal(name) for name in on_signal]
        if tools is None and not native:
            tools = Tools.find()
        if isinstance(walltime_end, (datetime, timedelta, str)):
            walltime_end = [walltime_end]
        ends = list(walltime_end or [])
        codes = {
            **_CODES,
            **{name: _whole(name, code, 255) for name, code in (exit_codes or {}).items()},
        }
        if len(codes) > len(_CODES):
            unknown = ", ".join(sorted(set(codes) - set(_CODES)))
            raise CallerError(f"no outcome has the name {unknown}", "argument", "caller")
        run = None
        if argv is not None:
            run = program(
                argv, env, cwd, gzip, checkpoint_open_files, messages, raw_options
            )
        self._settings: dict[str, Any] = {
            "dir": os.fspath(self._state_dir),
            "program": run,
            "native": native,
            "tools": None if tools is None else os.fspath(tools.directory),
            "id": id,
            "begin": begin,
            "interval": None if interval == "auto" else _interval(interval),
            "automatic": interval == "auto",
            "ends": [_end(end) for end in ends if end != "slurm"],
            "slurm": "slurm" in ends,
            "notice": notice_file,
            "grace": seconds(grace),
            "time_limit": seconds(time_limit),
            "ready_limit": seconds(ready_limit),
            "restart_limit": seconds(restart_limit),
            "tries": None if tries is None else _whole("tries", tries),
            "any_host": any_host,
            "stop_after_checkpoint": stop_after_checkpoint,
            "keep": (_whole("keep", keep), None, None, None),
            "restarts": _whole("max_restarts_without_progress", max_restarts_without_progress),
            "exit_codes": tuple(codes[name] for name in _CODES),
            "stdin": inherit_stdin,
            "show": show_output,
            "trace": trace,
            "metrics": metrics,
            "registered": register,
        }

    @property
    def state_dir(self) -> Path:
        """Where its state is."""
        return self._state_dir

    def sets(self) -> CheckpointSets:
        """Its checkpoint sets, newest first, without owning them."""
        return SetStore.peek(self._state_dir)

    def start(self) -> RunningJob:
        """Runs it on a thread of its own.

        What keeps it from beginning is raised by :meth:`RunningJob.wait`.

        Raises:
            CallerError: A setting that cannot be used.
        """
        server = self._server or _default.get()
        return RunningJob(_native.start(self._settings, server._native), self)

    def run(self) -> Outcome:
        """Runs it until it has an outcome.

        Ctrl-C, and the signals of ``on_signal``, make a last checkpoint and stop it; the outcome says
        ``checkpointed`` then. A second one, a second or more later, kills it. Sets stay.

        Raises:
            JobError: Nothing was done: the directory is another command's, or there are sets and a fresh
                start was asked for.
        """
        running = self.start()
        with running._heeding(self._signals):
            return running._until_end()

    def __repr__(self) -> str:
        return f"Job({os.fspath(self._state_dir)!r})"


class RunningJob:
    """A job that runs. **Its processes are killed when this object goes**; sets stay.

    As a context manager it waits for the end; when the block raises, Ctrl-C included, it makes a last
    checkpoint and stops first.
    """

    def __init__(self, native: _native.Run, job: Job) -> None:
        """Private: :meth:`Job.start` makes them."""
        self._native = native
        self._job = job
        _alive.add(self)
        keep_locks_from_children(job.state_dir)
        keep_from_children(self, RunningJob._addresses)

    @property
    def state_dir(self) -> Path:
        """Where its state is."""
        return self._job.state_dir

    def checkpoint(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> CheckpointSet:
        """Makes a checkpoint and waits until its set is complete and verified; the job goes on.

        While it is being started or restarted, or another checkpoint is under way, that is waited for.

        Raises:
            TimeoutError: It is not done in time; the text names who is late.
            CheckpointError: It failed; older sets are as they were.
            JobError: ``job-not-running``: the job has ended.
        """
        return self._set(Sealed._of(self._native.checkpoint(seconds(timeout))))

    @staticmethod
    def _set(sealed: Sealed) -> CheckpointSet:
        if sealed.set is None:
            raise DmtcpError("the checkpoint of a job has no set", "internal", "environment")
        return CheckpointSet(sealed.set.directory)

    def checkpoint_and_stop(self, grace: Optional[Seconds] = None) -> None:
        """Asks for one last checkpoint and the end, within the job's own grace or this one.

        Returns at once; :meth:`wait` tells the outcome: ``checkpointed``, or ``try-again`` where the
        grace did not suffice.
        """
        self._native.checkpoint_and_stop(seconds(grace), False)

    def kill(self) -> None:
        """Asks to kill everything at once, without a checkpoint. Returns at once."""
        self._native.kill()

    def wait(self, timeout: Optional[Seconds] = None) -> Outcome:
        """Waits for the end; ``None``: without a limit. Ctrl-C ends the wait, not the job.

        Raises:
            TimeoutError: It still runs.
            JobError: Nothing was done; the name and the text say why.
        """
        return Outcome._of(self._native.wait(seconds(timeout)))

    @property
    def outcome(self) -> Optional[Outcome]:
        """How it ended; ``None``: it has not, or nothing was done."""
        record = self._native.outcome()
        return None if record is None else Outcome._of(record)

    @property
    def computation(self) -> Optional[Computation]:
        """The computation of the attempt that runs now; ``None`` between attempts."""
        native = self._native.computation()
        return None if native is None else Computation(native, self._job._server)

    def events(self) -> Events:
        """News: for the first caller from the beginning on, for others from now on."""
        return Events(self._native.events())

    def __enter__(self) -> RunningJob:
        return self

    def __exit__(self, _kind: object, error: Optional[BaseException], _trace: object) -> None:
        if error is None:
            self._until_end()
            return
        self._native.checkpoint_and_stop(None, isinstance(error, KeyboardInterrupt))
        try:
            self._until_end()
        except DmtcpError:
            # What the block raised says more.
            pass

    def _addresses(self) -> list[tuple[str, int]]:
        computation = self._native.computation()
        return [] if computation is None else [computation.address]

    def __repr__(self) -> str:
        outcome = self.outcome
        return f"<RunningJob {os.fspath(self.state_dir)!r} {outcome.kind if outcome else 'running'}>"

    def _until_end(self) -> Outcome:
        asked: Optional[float] = None
        while True:
            try:
                return self.wait()
            except KeyboardInterrupt:
                asked = self._asked_again(asked)
            except DmtcpError:
                raise
            except BaseException:
                # Somebody's signal handler: nobody waits any more, and nobody else has it.
                self.kill()
                raise

    def _asked_again(self, asked: Optional[float]) -> float:
        """Schedulers may send one signal in two ways at the same time."""
        now = time.monotonic()
        if asked is None:
            self._native.checkpoint_and_stop(None, True)
            return now
        if now - asked >= 1:
            self.kill()
        return asked

    @contextmanager
    def _heeding(self, signals: Sequence[int]) -> Iterator[None]:
        if not signals or threading.current_thread() is not threading.main_thread():
            yield
            return
        asked: Optional[float] = None

        def stop(_number: int, _frame: Optional[FrameType]) -> None:
            nonlocal asked
            asked = self._asked_again(asked)

        before = {number: signal.signal(number, stop) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass(frozen=True)
class Stopped:
    """A job of another process that was told to end, and has.

    Attributes:
        was_running: Whether it still ran.
        not_checkpointed: Why no checkpoint could be made, where one was to be.
        outcome: How its run ended, where that is known.
    """

    was_running: bool
    not_checkpointed: Optional[str]
    outcome: Optional[Outcome]

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> Stopped:
        outcome = record["outcome"]
        return cls(
            record["was_running"],
            record["not_checkpointed"],
            None if outcome is None else Outcome._of(outcome),
        )


class Contact:
    """A job seen from any process, by its state directory, as it stood when it was looked at.

    Before its coordinator is asked for anything, it is made certain that it is that (``docs/JOBS.md``).

    Attributes:
        directory: The state directory.
        standing: ``running``, ``elsewhere``, ``lost``, ``copied`` or ``not-running``.
        record: What is recorded of it, as in ``job.json``.
        outcome: How its last run ended.
        last_set: ``sequence``, ``sealed_unix_ms`` and ``bytes`` of the newest set.
    """

    directory: Path
    standing: str
    record: Mapping[str, Any]
    outcome: Optional[Outcome]
    last_set: Optional[Mapping[str, Any]]

    def __init__(self, directory: StrPath) -> None:
        """Looks at the job in this directory; changes nothing.

        Raises:
            JobError: There is no job.
        """
        self._fill(directory, _native.contact(directory))

    def _fill(self, directory: StrPath, seen: Mapping[str, Any]) -> None:
        self.directory = Path(directory)
        self.standing = seen["standing"]
        self.record = seen["record"]
        self.outcome = None if seen["outcome"] is None else Outcome._of(seen["outcome"])
        self.last_set = seen["last_set"]

    @property
    def is_running(self) -> bool:
        """Whether a process of this host runs it."""
        return self.standing == "running"

    def coordinator(self, timeout: Seconds = 10) -> Coordinator:
        """A handle to the job's coordinator.

        Raises:
            JobError: What is not as it should be; nothing was done to anybody then.
        """
        native = _native.contact_coordinator(self.directory, seconds(timeout))
        return Coordinator._of(native)

    def wait_for_outcome(self, timeout: Optional[Seconds] = None) -> Outcome:
        """Waits until the job has ended, on whatever host it runs, and says how.

        Raises:
            TimeoutError: It still runs.
            JobError: It was lost, has never run, or the directory is a copy.
        """
        return Outcome._of(_native.wait_for_outcome(self.directory, seconds(timeout)))

    def checkpoint_and_stop(self, grace: Seconds = timedelta(seconds=90)) -> Stopped:
        """Makes a last checkpoint of it and ends it; returns when its run has ended.

        Raises:
            JobError: Nothing was done.
            TimeoutError: It was told to end and has not.
        """
        return Stopped._of(_native.checkpoint_and_stop(self.directory, seconds(grace)))

    def kill(self) -> Stopped:
        """Kills its processes at once; its sets stay. Returns when its run has ended.

        Raises:
            JobError: Nothing was done.
        """
        return Stopped._of(_native.kill(self.directory))

    def __repr__(self) -> str:
        return f"<Contact {os.fspath(self.directory)!r} {self.standing}>"


_CODES = {
    "checkpointed": 85,
    "try-again": 75,
    "failed-before-ready": 170,
    "failed-to-restore": 171,
    "timed-out": 124,
}


def _signal(name: SignalName) -> int:
    if isinstance(name, int):
        return signal.Signals(name)
    full = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
    try:
        return signal.Signals[full]
    except KeyError:
        raise CallerError(f"{name!r} is no signal", "argument", "caller") from None


def _interval(interval: Union[Seconds, str, None]) -> Optional[float]:
    if isinstance(interval, str):
        text = f"{interval!r} is neither a length of time nor 'auto'"
        raise CallerError(text, "argument", "caller")
    return seconds(interval) or None


def _whole(name: str, number: int, most: int = (1 << 32) - 1) -> int:
    if 0 <= number <= most:
        return number
    text = f"{name} is a number from 0 to {most}, not {number!r}"
    raise CallerError(text, "argument", "caller")


def _end(end: WalltimeEnd) -> str:
    if isinstance(end, timedelta):
        try:
            end = datetime.now().astimezone() + end
        except OverflowError:
            text = f"the calendar ends before {end!r} have passed"
            raise CallerError(text, "walltime-end", "caller") from None
    return str(int(end.timestamp())) if isinstance(end, datetime) else end


def _end_all() -> None:
    """The coordinators of jobs that still run are about to vanish; better an end that is one."""
    for running in list(_alive):
        try:
            running.kill()
            running.wait(timeout=30)
        except DmtcpError as error:
            # A child that was forked off has none of them.
            if error.slug not in ("forked", "timed-out"):
                print(f"dmtcp: {error}", file=sys.stderr)


atexit.register(_end_all)
