"""How a task is run, whatever engine it is a task of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from dmtcp._time import Seconds


@dataclass(frozen=True)
class Settings:
    """How a task is run. Every integration takes these as keywords; a wrong name is refused at once."""

    #: The folder below which the states of tasks are, see :mod:`dmtcp.integrations`.
    state_root: str | None = None
    #: The program is a worker by itself (:class:`dmtcp.NativeWorker`) and needs no DMTCP.
    native: bool = False
    #: The folder of DMTCP's programs. Default: ``DMTCP_BIN``, then ``PATH``, where the task runs.
    tools: str | None = None
    #: Time between checkpoints: ``"auto"``, a time, or ``None`` for none.
    interval: Literal["auto"] | Seconds | None = "auto"
    #: How long a last checkpoint may take when the task is asked to stop.
    grace: Seconds = 90.0
    #: When everything is killed: a ``datetime``. Default: not known.
    walltime_end: Any = None
    #: How long one try may take; then all is killed, without a checkpoint.
    time_limit: Seconds | None = None
    #: How many sets stay behind each checkpoint.
    keep: int = 2
    #: Variables for the program besides those that are there.
    env: Mapping[str, str] | None = None
    #: Working directory of the program. Default: that of whoever defines the task.
    cwd: str | None = None
    #: How long to wait for another process that still has this very task, as one that the engine has lost.
    held_timeout: Seconds = 120.0
    #: Rename the state after success instead of removing it.
    keep_state: bool = False

    def __post_init__(self) -> None:
        root = self.state_root or os.environ.get("DMTCP_STATE_ROOT") or "dmtcp-state"
        # Made absolute here, since the task runs in another process and perhaps in another folder.
        object.__setattr__(self, "state_root", str(Path(root).absolute()))
        object.__setattr__(self, "cwd", os.path.abspath(self.cwd or os.curdir))
        if self.tools is not None:
            object.__setattr__(self, "tools", os.fspath(self.tools))
        if self.env is not None:
            object.__setattr__(self, "env", dict(self.env))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all settings."""
        return tuple(field.name for field in fields(cls))
