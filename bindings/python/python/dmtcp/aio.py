"""The same verbs for ``asyncio``: what waits is a coroutine here.

Each class has the constructor, properties and methods of the one of the same name in :mod:`dmtcp`, whose
documentation holds; what returns at once there is no coroutine here either. Waiting takes no thread of
the loop's executor: any number of questions and readers of events wait on one thread of this package.
When a task is cancelled, nothing that it asked for is taken back: a checkpoint that has begun goes on, a
command is never half sent, and a job's processes are never lost sight of.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, AsyncIterator, Mapping, Optional, Sequence, Union

from . import _address, _native
from . import coordinator as _coordinator
from . import helper as _helper
from . import job as _job
from . import server as _server
from . import sets as _sets
from . import tools as _tools
from ._address import Address
from ._errors import DmtcpError
from ._fork import keep_from_children, keep_locks_from_children
from ._time import Seconds, seconds
from ._values import CheckpointReport, Event, Exit, Outcome, Sealed, Status, Workers
from ._waiting import Later, call
from .coordinator import CHECKPOINT_TIMEOUT, Dialect
from .job import Stopped
from .sets import CheckpointSet, CheckpointSets
from .tools import Child, StrPath, Tools

__all__ = [
    "Computation",
    "Contact",
    "Coordinator",
    "Events",
    "ForeignSets",
    "HelperCoordinator",
    "Job",
    "Launch",
    "Restart",
    "RunningJob",
    "Server",
    "SetStore",
    "inspect",
    "stop",
    "verify",
    "wait",
]


class Coordinator:
    """:class:`dmtcp.Coordinator` with coroutines."""

    def __init__(
        self,
        address: Optional[Address] = None,
        *,
        dialect: Dialect = "main",
        timeout: Seconds = 10,
    ) -> None:
        """As :class:`dmtcp.Coordinator`; a host name is looked up here, which may block."""
        self._native = _coordinator.Coordinator(address, dialect=dialect, timeout=timeout)._native

    @classmethod
    def _of(cls, native: _native.Coordinator) -> Coordinator:
        this = cls.__new__(cls)
        this._native = native
        return this

    @classmethod
    async def detect(
        cls,
        address: Optional[Address] = None,
        *,
        dialect: Optional[Dialect] = None,
        tools: Optional[Tools] = None,
        timeout: Seconds = 10,
    ) -> Coordinator:
        """As :meth:`dmtcp.Coordinator.detect`."""
        host, port = _address.parts(address)
        directory = None if tools is None else str(tools.directory)
        native = await call(
            _native.Coordinator.detect, host, port, dialect, directory, seconds(timeout)
        )
        return cls._of(native)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self._native.address

    @property
    def dialect(self) -> str:
        """What is spoken with it."""
        return self._native.dialect

    @property
    def release(self) -> Optional[str]:
        """Its release, where that was found out."""
        return self._native.release

    async def status(self) -> Status:
        """As :meth:`dmtcp.Coordinator.status`."""
        return Status._of(await call(self._native.status))

    async def workers(self) -> Workers:
        """As :meth:`dmtcp.Coordinator.workers`."""
        return Workers._of(await call(self._native.workers))

    async def checkpoint(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> CheckpointReport:
        """As :meth:`dmtcp.Coordinator.checkpoint`."""
        return CheckpointReport(*await call(self._native.checkpoint, seconds(timeout)))

    async def checkpoint_and_kill(
        self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT
    ) -> CheckpointReport:
        """As :meth:`dmtcp.Coordinator.checkpoint_and_kill`."""
        return CheckpointReport(*await call(self._native.checkpoint_and_kill, seconds(timeout)))

    async def request_checkpoint(self) -> int:
        """As :meth:`dmtcp.Coordinator.request_checkpoint`."""
        return int(await call(self._native.request_checkpoint))

    async def set_interval(self, interval: Optional[Seconds]) -> None:
        """As :meth:`dmtcp.Coordinator.set_interval`."""
        await call(self._native.set_interval, seconds(interval) or 0.0)

    async def kill_workers(self) -> None:
        """As :meth:`dmtcp.Coordinator.kill_workers`."""
        await call(self._native.kill_workers)

    async def quit(self) -> None:
        """As :meth:`dmtcp.Coordinator.quit`."""
        await call(self._native.quit)


class ForeignSets:
    """:class:`dmtcp.ForeignSets` with coroutines."""

    def __init__(
        self,
        coordinator: Union[Coordinator, _coordinator.Coordinator],
        store: Union[SetStore, _sets.SetStore],
        *,
        image_dirs: Sequence[StrPath] = (),
    ) -> None:
        """As :class:`dmtcp.ForeignSets`."""
        directories = [str(directory) for directory in image_dirs]
        self._native = _native.ForeignSets(coordinator._native, store._native, directories)

    async def checkpoint(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> CheckpointSet:
        """As :meth:`dmtcp.ForeignSets.checkpoint`."""
        return CheckpointSet._of(await call(self._native.checkpoint, seconds(timeout)))

    async def checkpoint_and_kill(
        self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT
    ) -> CheckpointSet:
        """As :meth:`dmtcp.ForeignSets.checkpoint_and_kill`."""
        return CheckpointSet._of(await call(self._native.checkpoint_and_kill, seconds(timeout)))

    async def finish(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> CheckpointSet:
        """As :meth:`dmtcp.ForeignSets.finish`."""
        return CheckpointSet._of(await call(self._native.finish, seconds(timeout)))


class Events(AsyncIterator[Event]):
    """News of a computation or a job, from when it was asked for; ends with it. One reader at a time."""

    def __init__(self, native: Union[_native.Events, _native.JobEvents]) -> None:
        self._native = native
        self._next: Optional[Later] = None

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        # Kept: an event that comes when its reader was cancelled is the next one's.
        if self._next is None:
            self._next = Later(self._native.next, None)
        later = self._next
        answer = await later.get()
        if self._next is later:
            self._next = None
        if answer is None:
            raise StopAsyncIteration
        return Event._of(answer)


class Server(_server.Server):
    """:class:`dmtcp.Server` whose :meth:`open` is a coroutine; also an ``async`` context manager."""

    async def open(  # type: ignore[override]
        self,
        *,
        address: Address = ("127.0.0.1", 0),
        sets: Union[_sets.SetStore, StrPath, None] = None,
        interval: Optional[Seconds] = None,
        seal_limit: Seconds = timedelta(hours=1),
    ) -> Computation:
        """As :meth:`dmtcp.Server.open`."""
        arguments = self._open_arguments(address, sets, interval, seal_limit)
        return Computation(await call(self._native.open, *arguments), self)

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.close()


class Computation:
    """:class:`dmtcp.Computation` with coroutines."""

    def __init__(self, native: _native.Computation, server: Optional[_server.Server]) -> None:
        """Private: :meth:`Server.open` makes them."""
        self._native = native
        self._held = server
        keep_from_children(self, lambda this: [this._native.address])

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, with the port that was chosen."""
        return self._native.address

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return self.address[1]

    def environment(self, checkpoint_dir: Optional[StrPath] = None) -> dict[str, str]:
        """As :meth:`dmtcp.Computation.environment`."""
        return _server.Computation(self._native, None).environment(checkpoint_dir)

    async def status(self) -> Status:
        """As :meth:`dmtcp.Computation.status`."""
        return Status._of(await call(self._native.status))

    async def workers(self) -> Workers:
        """As :meth:`dmtcp.Computation.workers`."""
        return Workers._of(await call(self._native.workers))

    async def checkpoint(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> Sealed:
        """As :meth:`dmtcp.Computation.checkpoint`."""
        return Sealed._of(await call(self._native.checkpoint, seconds(timeout)))

    async def checkpoint_and_kill(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> Sealed:
        """As :meth:`dmtcp.Computation.checkpoint_and_kill`."""
        return Sealed._of(await call(self._native.checkpoint_and_kill, seconds(timeout)))

    async def request_checkpoint(self) -> int:
        """As :meth:`dmtcp.Computation.request_checkpoint`."""
        return int(await call(self._native.request_checkpoint))

    async def set_interval(self, interval: Optional[Seconds]) -> None:
        """As :meth:`dmtcp.Computation.set_interval`."""
        await call(self._native.set_interval, seconds(interval) or 0.0)

    async def kill_workers(self, timeout: Seconds = 30) -> None:
        """As :meth:`dmtcp.Computation.kill_workers`."""
        await call(self._native.kill_workers, seconds(timeout))

    async def wait_until_running(
        self, peers: Optional[int] = None, timeout: Optional[Seconds] = 60
    ) -> Status:
        """As :meth:`dmtcp.Computation.wait_until_running`."""
        return Status._of(await call(self._native.wait_until_running, peers, seconds(timeout)))

    def events(self) -> Events:
        """News from now on."""
        return Events(self._native.events())

    async def metrics(self) -> str:
        """As :meth:`dmtcp.Computation.metrics`."""
        return str(await call(self._native.metrics))

    async def quit(self, timeout: Seconds = 30) -> None:
        """As :meth:`dmtcp.Computation.quit`."""
        await call(self._native.quit, seconds(timeout))
        keep_from_children(self, lambda _: [])

    async def close(self, timeout: Seconds = 30) -> None:
        """As :meth:`dmtcp.Computation.close`."""
        await call(self._native.close, seconds(timeout))
        keep_from_children(self, lambda _: [])

    async def __aenter__(self) -> Computation:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


class HelperCoordinator(_helper.HelperCoordinator):
    """:class:`dmtcp.HelperCoordinator` whose :meth:`start` and :meth:`quit` are coroutines."""

    @classmethod
    async def start(  # type: ignore[override]
        cls,
        *,
        address: Address = ("127.0.0.1", 0),
        interval: Optional[Seconds] = None,
        checkpoint_dir: StrPath = ".",
        exit_on_last: bool = False,
        stale_timeout: Optional[Seconds] = 8 * 3600,
        port_file: Optional[StrPath] = None,
        log_file: Optional[StrPath] = None,
        raw_options: Sequence[str] = (),
        program: Optional[StrPath] = None,
        timeout: Seconds = 30,
    ) -> HelperCoordinator:
        """As :meth:`dmtcp.HelperCoordinator.start`."""
        arguments = cls._arguments(
            address=address,
            interval=interval,
            checkpoint_dir=checkpoint_dir,
            exit_on_last=exit_on_last,
            stale_timeout=stale_timeout,
            port_file=port_file,
            log_file=log_file,
            raw_options=raw_options,
            program=program,
            timeout=timeout,
        )
        return cls._of(await call(_native.start_helper, *arguments))

    async def quit(self) -> None:  # type: ignore[override]
        """As :meth:`dmtcp.HelperCoordinator.quit`."""
        await Coordinator(self.address).quit()


class Job(_job.Job):
    """:class:`dmtcp.Job` whose :meth:`start` and :meth:`run` are coroutines; ``on_signal`` is not for
    these: the loop has ``add_signal_handler``, and Ctrl-C cancels the main task."""

    async def start(self) -> RunningJob:  # type: ignore[override]
        """As :meth:`dmtcp.Job.start`."""
        server = self._server or _server._default.get()
        return RunningJob(await call(_native.start, self._settings, server._native), self)

    async def run(self) -> Outcome:  # type: ignore[override]
        """As :meth:`dmtcp.Job.run`. A task that is cancelled makes a last checkpoint, stops the job, and
        ends when that has ended, within the job's grace."""
        async with await self.start() as running:
            return await running.wait()


class RunningJob:
    """:class:`dmtcp.RunningJob` with coroutines. As an ``async`` context manager it waits for the end;
    when the block raises or is cancelled, it makes a last checkpoint and stops first."""

    def __init__(self, native: _native.Run, job: Job) -> None:
        """Private: :meth:`Job.start` makes them."""
        self._sync = _job.RunningJob(native, job)
        self._end = Later(native.wait, None)

    async def checkpoint(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> CheckpointSet:
        """As :meth:`dmtcp.RunningJob.checkpoint`."""
        sealed = Sealed._of(await call(self._sync._native.checkpoint, seconds(timeout)))
        return self._sync._set(sealed)

    def checkpoint_and_stop(self, grace: Optional[Seconds] = None) -> None:
        """As :meth:`dmtcp.RunningJob.checkpoint_and_stop`; returns at once."""
        self._sync.checkpoint_and_stop(grace)

    def kill(self) -> None:
        """As :meth:`dmtcp.RunningJob.kill`; returns at once."""
        self._sync.kill()

    async def wait(self, timeout: Optional[Seconds] = None) -> Outcome:
        """As :meth:`dmtcp.RunningJob.wait`."""
        limit = seconds(timeout)
        try:
            return Outcome._of(await asyncio.wait_for(self._end.get(), limit))
        except asyncio.TimeoutError as error:
            if isinstance(error, DmtcpError):
                raise
            return self._sync.wait(0)

    @property
    def outcome(self) -> Optional[Outcome]:
        """How it ended; ``None``: it has not."""
        return self._sync.outcome

    @property
    def computation(self) -> Optional[Computation]:
        """The computation of the attempt that runs now."""
        sync = self._sync.computation
        return None if sync is None else Computation(sync._native, sync._server)

    def events(self) -> Events:
        """News: for the first caller from the beginning on, for others from now on."""
        return Events(self._sync._native.events())

    async def __aenter__(self) -> RunningJob:
        return self

    async def __aexit__(
        self, _kind: object, error: Optional[BaseException], _trace: object
    ) -> None:
        if error is None:
            await self.wait()
            return
        if self.outcome is None:
            self.checkpoint_and_stop()
        try:
            await self.wait()
        except DmtcpError:
            # What the block raised says more.
            pass


class Contact(_job.Contact):
    """:class:`dmtcp.Contact`: made with ``await Contact.open(directory)``, its methods coroutines."""

    @classmethod
    async def open(cls, directory: StrPath) -> Contact:
        """Looks at the job in this directory; changes nothing."""
        this = cls.__new__(cls)
        this._fill(directory, await call(_native.contact, directory))
        return this

    async def coordinator(self, timeout: Seconds = 10) -> Coordinator:  # type: ignore[override]
        """As :meth:`dmtcp.Contact.coordinator`."""
        native = await call(_native.contact_coordinator, self.directory, seconds(timeout))
        return Coordinator._of(native)

    async def wait_for_outcome(  # type: ignore[override]
        self, timeout: Optional[Seconds] = None
    ) -> Outcome:
        """As :meth:`dmtcp.Contact.wait_for_outcome`."""
        return Outcome._of(await call(_native.wait_for_outcome, self.directory, seconds(timeout)))

    async def checkpoint_and_stop(  # type: ignore[override]
        self, grace: Seconds = timedelta(seconds=90)
    ) -> Stopped:
        """As :meth:`dmtcp.Contact.checkpoint_and_stop`."""
        record: Mapping[str, Any] = await call(
            _native.checkpoint_and_stop, self.directory, seconds(grace)
        )
        return Stopped._of(record)

    async def kill(self) -> Stopped:  # type: ignore[override]
        """As :meth:`dmtcp.Contact.kill`."""
        return Stopped._of(await call(_native.kill, self.directory))


class SetStore:
    """:class:`dmtcp.SetStore`: made with ``await SetStore.open(directory)``, its methods coroutines."""

    def __init__(self, native: _native.SetStore) -> None:
        """Private: :meth:`open` makes them."""
        self._native = native

    @classmethod
    async def open(cls, directory: StrPath) -> SetStore:
        """Opens the sets in a state directory, which is made if it is not there."""
        keep_locks_from_children(directory)
        return cls(await call(_native.SetStore.open, directory))

    async def list(self) -> CheckpointSets:
        """As :meth:`dmtcp.SetStore.list`."""
        return CheckpointSets._listed(await call(self._native.list))

    async def newest_verified(self, *, before: Optional[int] = None) -> Optional[CheckpointSet]:
        """As :meth:`dmtcp.SetStore.newest_verified`."""
        native, _refused = await call(self._native.newest_verified, before)
        return None if native is None else CheckpointSet._of(native)

    async def prune(self, keep: int) -> _sets.Retained:
        """As :meth:`dmtcp.SetStore.prune`."""
        return _sets.Retained(**await call(self._native.retain, keep, None, None, None))

    async def unpack(self, archive: StrPath) -> CheckpointSet:
        """As :meth:`dmtcp.SetStore.unpack`."""
        return CheckpointSet._of(await call(self._native.unpack, archive))

    def close(self) -> None:
        """Gives the directory free."""
        self._native.close()

    async def __aenter__(self) -> SetStore:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.close()


async def verify(set: CheckpointSet, *, sizes_only: bool = False) -> None:
    """As :meth:`dmtcp.CheckpointSet.verify`."""
    await call(set._native.verify, sizes_only)


async def inspect(image: StrPath) -> _sets.Inspection:
    """As :func:`dmtcp.inspect`."""
    facts, fault = await call(_native.inspect, image)
    slug, text = fault or (None, None)
    return _sets.Inspection(facts, text, slug)


class Launch(_tools.Launch):
    """:class:`dmtcp.Launch` whose :meth:`spawn` is a coroutine; see :func:`wait` and :func:`stop`."""

    async def spawn(self) -> Child:  # type: ignore[override]
        """As :meth:`dmtcp.Launch.spawn`."""
        arguments = (self._tools.directory, self._program, *self._rest)
        return Child(await call(_native.launch, *arguments))


class Restart(_tools.Restart):
    """:class:`dmtcp.Restart` whose :meth:`spawn` is a coroutine; see :func:`wait` and :func:`stop`."""

    async def spawn(self) -> Child:  # type: ignore[override]
        """As :meth:`dmtcp.Restart.spawn`."""
        return Child(await call(_native.restart, self._tools.directory, *self._rest))


async def wait(child: Child, timeout: Optional[Seconds] = None) -> Exit:
    """As :meth:`dmtcp.Child.wait`."""
    return Exit(*await call(child._native.wait, seconds(timeout)))


async def stop(child: Child, grace: Seconds = 10) -> Exit:
    """As :meth:`dmtcp.Child.stop`."""
    return Exit(*await call(child._native.stop, seconds(grace)))
