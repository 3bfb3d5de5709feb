"""Tasks of Dask that go on on another worker.

::

    from dmtcp.integrations.dask import checkpointed, checkpointed_command

    future = client.submit(checkpointed(simulate, state_root="/shared/states"), 1000, retries=5)

    run = checkpointed_command(state_root="/shared/states")
    future = client.submit(run, ["./simulate", "input"], retries=5)

Dask itself runs a task again whose worker was lost (``distributed.scheduler.allowed-failures`` times, three unless
it is told otherwise), and ``retries=`` those that raised. Each try goes on from the newest checkpoint set. A task is
known by its key and what it is called with: the same key is the same task, also in another run of the client, where
keys are made from arguments as Dask does it for pure functions.

A worker that is closed in order (``--lifetime``, ``client.retire_workers``, an adaptive cluster that shrinks) waits
for its tasks. :class:`CheckpointOnClose` has them checkpointed and stopped instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from distributed import get_worker  # type: ignore[import-not-found,import-untyped,unused-ignore]
from distributed.diagnostics.plugin import WorkerPlugin  # type: ignore[import-not-found,import-untyped,unused-ignore]

from . import _call
from ._place import Command, Place, fingerprints, program_files
from ._report import Report
from ._settings import Settings
from ._task import Try, argv_of, settle, stop_all

__all__ = ["CheckpointOnClose", "checkpointed", "checkpointed_command"]

log = logging.getLogger("dmtcp.integrations")


class checkpointed:  # named as the function it is used as
    """Makes of a function one that runs in a process of its own, which is checkpointed.

    Hand it to ``client.submit``, ``client.map`` or ``dask.delayed``. Options are the
    :class:`~dmtcp.integrations.Settings`. Arguments, result and exceptions are pickled. With ``native=True`` the
    function's first argument is the :class:`dmtcp.NativeWorker` by which it restores and saves its state; else
    DMTCP does that, and the function needs to know nothing of it.
    """

    def __init__(self, func: Callable[..., Any], **options: Any) -> None:
        self.func = func
        self.settings = Settings(**options)
        # Dask makes the key of the task from this.
        self.__name__ = getattr(func, "__name__", type(func).__name__)
        self.__doc__ = func.__doc__ or self.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _call.run(self.__name__, self.func, args, kwargs, self.settings, key=_key())

    def __dask_tokenize__(self) -> Any:
        from dask.base import normalize_token  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return (type(self).__qualname__, normalize_token(self.func))


class checkpointed_command:
    """Makes a function that runs a command, which is checkpointed, and returns its
    :class:`~dmtcp.integrations.Report`.

    A list is run as it is, a string by ``/bin/bash -c``. ``inputs`` are files that the command reads: where they
    were changed, nothing goes on. Options are the :class:`~dmtcp.integrations.Settings`.
    """

    def __init__(self, name: str = "command", **options: Any) -> None:
        self.settings = Settings(**options)
        self.__name__ = name

    def __call__(self, command: Command, inputs: Sequence[str] = ()) -> Report:
        files = program_files(command, self.settings) + list(inputs)
        words = command if isinstance(command, str) else argv_of(command)
        identity = {"command": words, "files": fingerprints(files, self.settings), "key": _key()}
        place = Place.of(self.settings, [self.__name__], identity)
        with place.held(self.__name__, self.settings):
            if place.has_finished():
                place.forget()  # What it has made may be gone since.
            report = Try(self.__name__, argv_of(command), place, self.settings).run()
            settle(place, self.settings)
            return report

    def __dask_tokenize__(self) -> Any:
        return (type(self).__qualname__, self.__name__)


class CheckpointOnClose(WorkerPlugin):  # type: ignore[misc,unused-ignore]
    """``client.register_plugin(CheckpointOnClose())``: a worker that is closed has its tasks checkpointed and
    stopped, and so closes in ``grace`` seconds (default: that of each task). They go on where the scheduler sends
    them next."""

    name = "dmtcp-checkpoint-on-close"

    def __init__(self, grace: float | None = None) -> None:
        self.grace = grace

    async def teardown(self, worker: Any) -> None:
        # Not in the event loop: it has to go on talking to the scheduler.
        stopped = await asyncio.to_thread(stop_all, self.grace)
        log.info("%d task(s) checkpointed and stopped: the worker is closed", stopped)


def _key() -> Any:
    """The key of the task that runs in this thread; ``None`` outside of a worker."""
    try:
        return str(get_worker().get_current_task())
    except (ValueError, KeyError):
        return None
