"""Any coordinator, stock or ours, over TCP; and sets out of one that somebody else runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterable, Literal, Optional

from . import _address, _native
from ._address import Address
from ._time import Seconds, seconds
from ._values import CheckpointReport, Status, Workers
from .sets import CheckpointSet, SetStore
from .tools import StrPath, Tools

Dialect = Literal["main", "v5", "v3", "v2_6", "v2_5", "v2_4"]
"""What a coordinator speaks: ``v3`` is 3.0.0 to 4.2.0, ``main`` (``v5``) the development head and
the coordinators of this library, which understand all of them."""

CHECKPOINT_TIMEOUT = 600.0
"""How long checkpoints are waited for unless something else is said, in seconds."""


class Coordinator:
    """A handle to a coordinator that runs: it asks and waits, one connection a question.

    A question in a wrong dialect ends many stock coordinators, and their computations with them:
    :meth:`detect` finds out first what one speaks.
    """

    def __init__(
        self,
        address: Optional[Address] = None,
        *,
        dialect: Dialect = "main",
        timeout: Seconds = 10,
    ) -> None:
        """Nothing is sent.

        Args:
            address: ``"host:port"``, a port of this host, a pair of both, or another handle. What is not
                said is taken from ``DMTCP_COORD_HOST`` and ``DMTCP_COORD_PORT``, then 127.0.0.1 and
                7779. A host name is looked up here.
            dialect: What it speaks. The default is right for coordinators of this library only.
            timeout: For each question that has no limit of its own.

        Raises:
            CallerError: No port number, or a host without an IPv4 address.
        """
        host, port = _address.parts(address)
        self._native = _native.Coordinator(host, port, dialect, seconds(timeout))

    @classmethod
    def _of(cls, native: _native.Coordinator) -> Coordinator:
        this = cls.__new__(cls)
        this._native = native
        return this

    @classmethod
    def detect(
        cls,
        address: Optional[Address] = None,
        *,
        dialect: Optional[Dialect] = None,
        tools: Optional[Tools] = None,
        timeout: Seconds = 10,
    ) -> Coordinator:
        """Finds out without harm what the coordinator speaks.

        Args:
            address: As for :class:`Coordinator`.
            dialect: What it is believed to speak: refused where that can be seen to be wrong.
            tools: The DMTCP programs that it belongs to, if that is known.
            timeout: For this, and for each question later.

        Raises:
            ConnectError: Nobody listens there.
            CommandError: It is no coordinator, or nothing that is safe tells its dialect.
            TimeoutError: No answer came in time.
        """
        host, port = _address.parts(address)
        directory = None if tools is None else os.fspath(tools.directory)
        return cls._of(
            _native.Coordinator.detect(host, port, dialect, directory, seconds(timeout))
        )

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

    def with_timeout(self, timeout: Seconds) -> Coordinator:
        """The same handle with another limit for each question."""
        return self._of(self._native.with_timeout(seconds(timeout)))

    def status(self) -> Status:
        """Peers, running or not, interval.

        Raises:
            ConnectError: Nobody listens there.
            TimeoutError: No answer came in time.
            CommandError: What came back is no answer.
        """
        return Status._of(self._native.status())

    def workers(self) -> Workers:
        """Every worker, in the order in which they joined.

        Raises:
            CommandError: As for :meth:`status`; ``no-list`` from 2.4, which tells none.
        """
        return Workers._of(self._native.workers())

    def checkpoint(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> CheckpointReport:
        """Checkpoints the computation and waits for the end of that.

        A computation that is starting, restarting or in another checkpoint is waited for. That the
        images are whole and on disk is not known then: :class:`ForeignSets` makes sets of them.

        Raises:
            TimeoutError: The end was not seen in time. The checkpoint goes on.
            CheckpointError: A worker was lost, or the checkpoint failed otherwise.
            CommandError: The coordinator refused.
        """
        return CheckpointReport(*self._native.checkpoint(seconds(timeout)))

    def checkpoint_and_kill(
        self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT
    ) -> CheckpointReport:
        """The same, and the workers exit behind it.

        Raises:
            DmtcpError: As for :meth:`checkpoint`.
        """
        return CheckpointReport(*self._native.checkpoint_and_kill(seconds(timeout)))

    def request_checkpoint(self) -> int:
        """Only asks for a checkpoint: the number of workers that began one.

        Raises:
            CommandError: ``not-running`` without workers, or while not all of them run.
        """
        return self._native.request_checkpoint()

    def set_interval(self, interval: Optional[Seconds]) -> None:
        """Changes the interval of periodic checkpoints, and reads it back; ``None``: none any more.

        Raises:
            CommandError: ``interval-ignored``: 3.1.1 to 4.2.0 say yes and do nothing.
        """
        self._native.set_interval(seconds(interval) or 0.0)

    def checkpoint_dir(self) -> Path:
        """Where images go unless a worker was told otherwise; 2.5.1 to 2.6.0 only.

        Raises:
            CommandError: Other releases have no such command.
        """
        return self._native.checkpoint_dir()

    def set_log_mask(self, mask: int) -> None:
        """Sets which components of the workers log; 2.5.1 to 2.6.0 only.

        Raises:
            CommandError: Other releases have no such command.
        """
        self._native.set_log_mask(mask)

    def kill_workers(self) -> None:
        """Kills all workers and waits until they are gone.

        Raises:
            TimeoutError: Some are still there.
        """
        self._native.kill_workers()

    def quit(self) -> None:
        """Kills all workers, ends the coordinator, and waits until nobody listens there any more.

        Raises:
            TimeoutError: It still listens.
        """
        self._native.quit()

    def __repr__(self) -> str:
        host, port = self.address
        return f"<Coordinator {host}:{port} ({self.release or self.dialect})>"


class ForeignSets:
    """Checkpoint sets of the computation under any coordinator, stock ones included.

    It finds the images of a round, proves that they are all of it, and seals them: complete, checked,
    durable, or an error that says why not. One checkpoint at a time for each object.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        store: SetStore,
        *,
        image_dirs: Iterable[StrPath] = (),
    ) -> None:
        """
        Args:
            coordinator: A handle to it.
            store: Where the sets go.
            image_dirs: Further directories in which images may be.
        """
        directories = [os.fspath(directory) for directory in image_dirs]
        self._native = _native.ForeignSets(coordinator._native, store._native, directories)

    def checkpoint(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> CheckpointSet:
        """Makes a checkpoint and a set of it.

        Raises:
            TimeoutError: The checkpoint goes on: :meth:`finish` gives its set when there is one.
            CheckpointError: There is no complete set; the name and the text say why.
        """
        return CheckpointSet._of(self._native.checkpoint(seconds(timeout)))

    def checkpoint_and_kill(
        self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT
    ) -> CheckpointSet:
        """The same, and the workers exit behind it.

        Raises:
            DmtcpError: As for :meth:`checkpoint`.
        """
        return CheckpointSet._of(self._native.checkpoint_and_kill(seconds(timeout)))

    def finish(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> CheckpointSet:
        """Waits for the set of a checkpoint that an earlier call gave up on.

        Raises:
            CallerError: ``idle``: there is none.
        """
        return CheckpointSet._of(self._native.finish(seconds(timeout)))
