"""What came of a try at a task, as engines carry it from process to process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """How one try at a task ended. Plain data: it can be pickled and printed."""

    #: Name of the task.
    name: str
    #: As ``outcome.json`` has it: ``finished``, ``checkpointed``, ``try-again``, ``killed-by-signal``,
    #: ``failed-before-ready``, ``failed-to-restore`` or ``timed-out``.
    kind: str
    #: Why it came to that, more closely, as ``outcome.json`` has it; ``None`` where it is not told.
    reason: str | None
    #: The exit code that ``dmtcpctl run`` would have: the program's own where that has ended.
    code: int
    #: In words.
    text: str
    #: What to do about it, in words.
    hint: str | None
    #: The state directory of the job.
    state_dir: str
    #: Number of the set from which this try went on; ``None``: it began afresh.
    resumed_from: int | None
    #: The last lines that the program has written.
    last_output: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the program has finished with 0."""
        return self.kind == "finished" and self.code == 0

    @property
    def goes_on(self) -> bool:
        """Whether another try goes on from here: it was stopped, or killed, but did not end by itself."""
        return self.kind in ("checkpointed", "try-again", "killed-by-signal", "timed-out")

    def __str__(self) -> str:
        began = "afresh" if self.resumed_from is None else f"from set {self.resumed_from}"
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.name}, begun {began}: {self.text}{hint}"


class TaskError(Exception):
    """A try at a task that did not succeed."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        #: How it ended.
        self.report = report

    def __str__(self) -> str:
        said = f"\n{self.report.last_output}" if self.report.last_output else ""
        return f"{self.report}; its state is in {self.report.state_dir}{said}"


class TaskInterrupted(TaskError):
    """It was stopped or killed in the middle of its work: another try goes on from its newest set."""


class TaskFailed(TaskError):
    """The program has ended with a failure, or could not be started or restarted."""
