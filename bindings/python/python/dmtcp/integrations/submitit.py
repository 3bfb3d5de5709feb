"""A program as a job of submitit's that goes on in the job that is requeued.

::

    from dmtcp.integrations.submitit import Checkpointed

    executor = submitit.AutoExecutor("jobs", slurm_max_num_timeout=100)
    executor.update_parameters(timeout_min=240, slurm_signal_delay_s=120)
    job = executor.submit(Checkpointed(["./simulate", "input"], grace=100))

submitit asks for a ``checkpoint()`` before the time of the job is over and when it is preempted: the program is
checkpointed and stopped, and goes on in the next job. A job that was killed without a word has to be submitted
again by its user; the same program then goes on from its newest set, too.

Import this module before submitit, here and where the jobs are made: submitit's own signal, USR2, is what DMTCP
checkpoints with, so ``SUBMITIT_PREEMPT_SIGNAL`` is set to ``USR1`` where nothing else is. Slurm sends its signals
to each process of a step: the program is started with that signal and SIGTERM blocked.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

if "submitit" not in sys.modules:
    os.environ.setdefault("SUBMITIT_PREEMPT_SIGNAL", "USR1")

import submitit  # type: ignore[import-not-found,import-untyped,unused-ignore]
from submitit.core.job_environment import JobEnvironment  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ._place import Command, Place, fingerprints, program_files
from ._report import Report, TaskInterrupted
from ._settings import Settings
from ._task import Try, argv_of, settle

__all__ = ["Checkpointed"]


class Checkpointed:
    """Runs a program until it ends, over as many jobs as that takes.

    A list is run as it is, a string by ``/bin/bash -c``. ``inputs`` are files that it reads: where they were
    changed, nothing goes on. Options are the :class:`~dmtcp.integrations.Settings`; ``grace`` has to be shorter
    than the time between submitit's signal and the end (``slurm_signal_delay_s``, 90 s unless told otherwise), and
    is 75 s here.

    The job's result is a :class:`~dmtcp.integrations.Report`; a program that fails makes the job fail with
    :class:`~dmtcp.integrations.TaskFailed`.
    """

    def __init__(self, command: Command, *, name: str | None = None, inputs: Sequence[str] = (), **options: Any):
        if JobEnvironment.USR_SIG == "USR2" and not options.get("native"):
            raise RuntimeError(
                "submitit was imported with USR2 as its signal, which is DMTCP's own: import"
                " dmtcp.integrations.submitit first, or set SUBMITIT_PREEMPT_SIGNAL=USR1"
            )
        options.setdefault("grace", 75.0)
        self.settings = Settings(**options)
        self.command: Command = command if isinstance(command, str) else argv_of(command)
        self.inputs = [os.path.abspath(path) for path in inputs]
        program = self.command.split()[0] if isinstance(self.command, str) else self.command[0]
        self.name = name or os.path.basename(program)
        self._try: Try | None = None

    def __call__(self) -> Report:
        identity = {
            "command": self.command,
            "files": fingerprints(program_files(self.command, self.settings) + self.inputs, self.settings),
        }
        place = Place.of(self.settings, [self.name], identity)
        with place.held(self.name, self.settings):
            return self._run(place)

    def _run(self, place: Place) -> Report:
        if place.has_finished():
            place.forget()  # What it has made may be gone since.
        asks = getattr(signal, f"SIG{JobEnvironment.USR_SIG}")
        shield = (asks, signal.SIGTERM)
        self._try = Try(self.name, argv_of(self.command), place, self.settings, shield_from=shield)
        try:
            report = self._try.run()
        except TaskInterrupted as interrupted:
            if interrupted.report.kind in ("checkpointed", "try-again"):
                # It has stopped in time by itself: as if submitit had been told, which does not come back.
                signal.raise_signal(asks)
            raise
        settle(place, self.settings)
        return report

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Called by submitit in its signal handler, in the middle of the call above."""
        if self._try is not None:
            self._try.stop()
        # Also where the program has just ended: the next job is told so at once.
        return submitit.helpers.DelayedSubmission(self)

    # Its name in releases of submitit to come.
    __submitit_checkpoint__ = checkpoint

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_try": None}
