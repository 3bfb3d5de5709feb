"""Start, checkpoint, query and restart computations under DMTCP, with answers that can be trusted.

A checkpoint call returns a complete, durable, verified set of images, or raises within its limit and
says why there is none. Every call that waits takes a limit in seconds or as a ``timedelta``, lets other
threads run, and is ended by Ctrl-C. The same verbs as coroutines are in :mod:`dmtcp.aio`.

============================ ===================================================================
:class:`Job`                 one program that starts or goes on, and ends with an :class:`Outcome`
:class:`Server`              a coordinator in this process: :class:`Computation`
:class:`HelperCoordinator`   a coordinator that outlives this process
:class:`Coordinator`         a handle to any coordinator that runs
:class:`ForeignSets`         checkpoint sets out of a coordinator that somebody else runs
:class:`Launch`, :class:`Restart`  DMTCP's programs
:class:`SetStore`, :class:`CheckpointSet`  what is on disk, and whether it is whole
:class:`NativeWorker`        this program as a worker, without DMTCP
============================ ===================================================================
"""

from __future__ import annotations

from importlib.metadata import version as _version

from ._address import Address, HasAddress
from ._errors import (
    CallerError,
    CheckpointError,
    CommandError,
    ConnectError,
    DmtcpError,
    Fault,
    ForkError,
    JobError,
    ServerError,
    SetError,
    TimeoutError,
    ToolError,
    WorkerError,
    WorkerExit,
)
from ._time import Seconds
from ._values import (
    CheckpointReport,
    Event,
    Exit,
    ImageReport,
    Outcome,
    OutcomeKind,
    Sealed,
    SealedSet,
    Status,
    WorkerInfo,
    Workers,
)
from .cli import dmtcpctl_path, run_cli
from .coordinator import Coordinator, Dialect, ForeignSets
from .helper import HelperCoordinator
from .job import Begin, Contact, Job, RunningJob, SignalName, Stopped, WalltimeEnd
from .server import Computation, Events, Server
from .sets import CheckpointSet, CheckpointSets, Inspection, Retained, SetStore, inspect
from .tools import Child, Launch, Messages, Restart, StreamTarget, StrPath, Tools
from .worker import Buffer, Checkpointed, NativeWorker

__version__ = _version("dmtcp")

__all__ = [
    "Address",
    "Begin",
    "Buffer",
    "CallerError",
    "CheckpointError",
    "CheckpointReport",
    "CheckpointSet",
    "CheckpointSets",
    "Checkpointed",
    "Child",
    "CommandError",
    "Computation",
    "ConnectError",
    "Contact",
    "Coordinator",
    "Dialect",
    "DmtcpError",
    "Event",
    "Events",
    "Exit",
    "Fault",
    "ForeignSets",
    "ForkError",
    "HasAddress",
    "HelperCoordinator",
    "ImageReport",
    "Inspection",
    "Job",
    "JobError",
    "Launch",
    "Messages",
    "NativeWorker",
    "Outcome",
    "OutcomeKind",
    "Restart",
    "Retained",
    "RunningJob",
    "Sealed",
    "SealedSet",
    "Seconds",
    "Server",
    "ServerError",
    "SetError",
    "SetStore",
    "SignalName",
    "Status",
    "Stopped",
    "StrPath",
    "StreamTarget",
    "TimeoutError",
    "ToolError",
    "Tools",
    "WalltimeEnd",
    "WorkerError",
    "WorkerExit",
    "WorkerInfo",
    "Workers",
    "dmtcpctl_path",
    "inspect",
    "run_cli",
]
