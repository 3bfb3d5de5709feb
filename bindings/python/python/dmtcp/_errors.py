"""Exceptions. Each says what happened, under a name that does not change, and who is at fault."""

from __future__ import annotations

import builtins
from typing import Literal

Fault = Literal["caller", "environment", "peer"]


class DmtcpError(Exception):
    """What was asked for was not done. The base of all exceptions of this package.

    Attributes:
        slug: Name of the kind of error, the same as ``dmtcpctl`` prints; it does not change between
            releases.
        fault: Who is at fault: the ``"caller"``, the ``"environment"`` (files, processes, the
            system), or the ``"peer"`` (a coordinator, a worker).
    """

    slug: str
    fault: Fault

    def __init__(self, text: str, slug: str = "error", fault: Fault = "environment") -> None:
        # Alone: an OSError would take what follows for a strerror and a file name.
        super().__init__(text)
        # All of it, so that the exception passes through pickle to another process.
        self.args = (text, slug, fault)
        self.slug = slug
        self.fault = fault

    def __str__(self) -> str:
        return str(self.args[0])


class CallerError(DmtcpError, ValueError):
    """An argument, or a variable of the environment, that cannot be used."""


class ForkError(CallerError):
    """An object of the parent was used in a forked child. Make a new one there."""


class ConnectError(DmtcpError, ConnectionError):
    """Nobody listens there, the host cannot be reached, or the connection broke."""


class CommandError(DmtcpError):
    """A coordinator did not carry the command out, or its answer is none.

    ``slug`` is ``"not-running"`` when there is no worker or not all of them run, and ``"busy"`` when
    another checkpoint is under way: both pass.
    """


class CheckpointError(DmtcpError):
    """A checkpoint was begun and there is no complete set of it. Older sets are as they were."""


class TimeoutError(DmtcpError, builtins.TimeoutError):
    """The limit has passed. A checkpoint that was begun goes on: DMTCP's protocol cannot stop one."""


class ServerError(DmtcpError):
    """The embedded coordinator could not be started, cannot listen, or is closed."""


class ToolError(DmtcpError):
    """DMTCP's programs are not there, or a process could not be started or waited for."""


class JobError(DmtcpError):
    """A job could not be begun, or its state directory does not lead to one that runs."""


class SetError(DmtcpError):
    """A checkpoint set, an image or an archive cannot be used as it is."""


class WorkerError(DmtcpError):
    """This process could not join a computation, or has left it."""


class WorkerExit(WorkerError):
    """The computation is over for this worker: it was killed, told to exit behind a checkpoint, or
    has lost its coordinator.

    Attributes:
        exit_code: With what a process under DMTCP would end here: 0 when it was told to, else 99.
    """

    exit_code: int

    def __init__(self, text: str, slug: str, fault: Fault, exit_code: int = 99) -> None:
        super().__init__(text, slug, fault)
        self.args = (text, slug, fault, exit_code)
        self.exit_code = exit_code
