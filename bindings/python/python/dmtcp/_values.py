"""What calls answer: plain, immutable records."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Mapping, Optional, Sequence, cast

from . import _html
from ._time import length, moment, spoken

OutcomeKind = Literal[
    "finished",
    "killed-by-signal",
    "checkpointed",
    "try-again",
    "failed-before-ready",
    "failed-to-restore",
    "timed-out",
]


@dataclass(frozen=True)
class Status:
    """A computation in three facts.

    Attributes:
        peers: Connected workers.
        running: Whether all of them run; false when there is none.
        interval: Time between periodic checkpoints; ``None``: only when asked for, or not told.
    """

    peers: int
    running: bool
    interval: Optional[timedelta]

    @classmethod
    def _of(cls, answer: tuple[int, bool, float | None]) -> Status:
        peers, running, interval = answer
        return cls(peers, running, length(interval))

    def _repr_html_(self) -> str:
        return _html.facts(
            [
                ("peers", self.peers),
                ("running", self.running),
                ("interval", spoken(self.interval)),
            ]
        )


@dataclass(frozen=True)
class WorkerInfo:
    """One worker, as its coordinator knows it.

    Attributes:
        number: Position in the coordinator's list; never used twice by one coordinator.
        id: Identity, as DMTCP prints it.
        virtual_pid: The pid that the program itself sees.
        real_pid: The pid on its host; -1: not known.
        host: Name of its host.
        program: Name of its program.
        state: What it is doing, in DMTCP's word, such as ``"RUNNING"``.
        barrier: The last barrier that it reached in this checkpoint or restart.
    """

    number: int
    id: str
    virtual_pid: int
    real_pid: int
    host: str
    program: str
    state: str
    barrier: Optional[str]


class Workers(_html.Table[WorkerInfo]):
    """Workers, in the order in which they joined; a table in notebooks."""

    _heads = ("", "program", "pid", "host", "state", "barrier")

    def _row(self, one: WorkerInfo) -> Sequence[object]:
        return (one.number, one.program, one.real_pid, one.host, one.state, one.barrier or "")

    @classmethod
    def _of(cls, answer: list[Any]) -> Workers:
        return cls(WorkerInfo(*worker) for worker in answer)


@dataclass(frozen=True)
class CheckpointReport:
    """A checkpoint under any coordinator that has come to its end.

    Attributes:
        peers: Workers that were connected.
        evidence: How the end is known: ``"coordinator-reply"`` or ``"observed"``. Neither says that
            the images are whole and on disk; :class:`dmtcp.ForeignSets` makes sets of them.
    """

    peers: int
    evidence: str


@dataclass(frozen=True)
class SealedSet:
    """A set that was just sealed.

    Attributes:
        sequence: Its number; only rises.
        directory: Where it is.
        bytes: Its size.
    """

    sequence: int
    directory: Path
    bytes: Optional[int]


@dataclass(frozen=True)
class ImageReport:
    """An image, as its worker reported it; the next round may replace the file, a set stays."""

    path: Path
    worker: WorkerInfo


@dataclass(frozen=True)
class Sealed:
    """A complete checkpoint of a computation whose coordinator runs in this process.

    Attributes:
        round: Number of the round.
        generation: Generation of the computation.
        images: One for each worker.
        set: The set; ``None`` if the computation was opened without ``sets``.
        sealing: How long sealing took.
    """

    round: int
    generation: int
    images: tuple[ImageReport, ...]
    set: Optional[SealedSet]
    sealing: timedelta

    @classmethod
    def _of(cls, answer: Any) -> Sealed:
        round_, generation, images, set_, sealing = answer
        reports = (ImageReport(Path(path), WorkerInfo(*worker)) for path, worker in images)
        sealed = None if set_ is None else SealedSet(*set_)
        return cls(round_, generation, tuple(reports), sealed, timedelta(seconds=sealing))


@dataclass(frozen=True)
class Event:
    """Something that happened to a job or a computation.

    Attributes:
        kind: Its name; does not change between releases.
        time: When it was told.
        text: For people.
        data: Its particulars.
    """

    kind: str
    time: datetime
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def _of(cls, answer: Any) -> Event:
        kind, time, text, data = answer
        return cls(kind, moment(time), text, data)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Exit:
    """How a process ended: with a code, or by a signal."""

    code: Optional[int]
    signal: Optional[int]

    @property
    def returncode(self) -> int:
        """As :mod:`subprocess` has it: the code, or the signal's number, negative."""
        return self.code if self.code is not None else -(self.signal or 0)


@dataclass(frozen=True)
class Outcome:
    """How one run of a job ended; also in ``outcome.json``.

    Attributes:
        kind: One of seven, for schedulers and scripts.
        reason: Why, more closely.
        code: The exit code that a runner should end with: the program's own, 85 for
            ``checkpointed``, 75 for ``try-again`` and so on (``docs/JOBS.md``).
        text: For people.
        hint: What to do, where something is to be done.
        exit_code: The program's own exit code; ``None``: it did not end by itself.
        exit_signal: The signal that ended the program.
        set: Number of the newest set, from which the next run goes on.
        restarts: In this run.
        sets_sealed: In this run.
        started: When the run began.
        ended: When it ended.
    """

    kind: OutcomeKind
    reason: str
    code: int
    text: str
    hint: Optional[str]
    exit_code: Optional[int]
    exit_signal: Optional[int]
    set: Optional[int]
    restarts: int
    sets_sealed: int
    started: datetime
    ended: datetime

    @property
    def finished(self) -> bool:
        """Whether the program ended by itself, with whatever code."""
        return self.kind == "finished"

    @property
    def to_be_run_again(self) -> bool:
        """Whether the same job has something left to do."""
        return self.kind in ("checkpointed", "try-again")

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> Outcome:
        exit_ = record["exit"] or {}
        return cls(
            kind=cast(OutcomeKind, record["slug"]),
            reason=record["reason"],
            code=record["code"],
            text=record["text"],
            hint=record["hint"],
            exit_code=exit_.get("code"),
            exit_signal=exit_.get("signal"),
            set=record["set"],
            restarts=record["restarts"],
            sets_sealed=record["sets_sealed"],
            started=moment(record["started_unix_ms"] / 1000),
            ended=moment(record["ended_unix_ms"] / 1000),
        )

    def __str__(self) -> str:
        return f"{self.kind} ({self.reason}), code {self.code}: {self.text}"

    def _repr_html_(self) -> str:
        pairs: list[tuple[str, object]] = [
            ("outcome", self.kind),
            ("reason", self.reason),
            ("code", self.code),
            ("text", self.text),
            ("hint", self.hint or ""),
            ("newest set", "none" if self.set is None else self.set),
            ("took", self.ended - self.started),
        ]
        return _html.facts(pairs)
