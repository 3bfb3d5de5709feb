"""The embedded coordinator: DMTCP's coordinator in this process, many computations on one thread."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, Iterator, Optional, Union

from . import _address, _native
from ._address import Address
from ._fork import keep_from_children
from ._time import Seconds, seconds
from ._values import Event, Sealed, Status, Workers
from .coordinator import CHECKPOINT_TIMEOUT
from .sets import SetStore
from .tools import StrPath


class Server:
    """A coordinator in this process. **Closing it ends all its computations**: their workers exit when
    they lose their coordinator. A context manager.

    Behind a fork it stays the parent's: a child makes one of its own.
    """

    def __init__(self) -> None:
        """Starts its thread. It listens nowhere until a computation is opened.

        Raises:
            ServerError: There is no thread or no descriptor for it.
        """
        self._native = _native.Server()

    def open(
        self,
        *,
        address: Address = ("127.0.0.1", 0),
        sets: Union[SetStore, StrPath, None] = None,
        interval: Optional[Seconds] = None,
        seal_limit: Seconds = timedelta(hours=1),
    ) -> Computation:
        """One more computation, without workers, listening when this returns.

        Args:
            address: Where; port 0 takes a free one. Only this user's processes on this host may connect.
            sets: A store, or a state directory, in which each checkpoint becomes a set. Without it a
                checkpoint is complete once every worker has reported its image, and nobody has looked
                whether that is whole.
            interval: Between periodic checkpoints; ``None``: only when asked for.
            seal_limit: How long sealing a set may take.

        Raises:
            ServerError: The address cannot be had.
            SetError: Somebody else has the state directory.
        """
        arguments = self._open_arguments(address, sets, interval, seal_limit)
        return Computation(self._native.open(*arguments), self)

    @staticmethod
    def _open_arguments(
        address: Address,
        sets: Union[SetStore, StrPath, None],
        interval: Optional[Seconds],
        seal_limit: Seconds,
    ) -> tuple[Any, ...]:
        store = sets if sets is None or isinstance(sets, SetStore) else SetStore(sets)
        return (
            _address.numeric(address),
            seconds(interval) or 0.0,
            None if store is None else store._native,
            os.getcwd(),
            seconds(seal_limit),
        )

    def close(self) -> None:
        """Ends all its computations. Jobs that run on it keep it until they end."""
        self._native.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class Events(Iterator[Event]):
    """News of a computation or a job, from when it was asked for; ends with it.

    A receiver that does not read loses the oldest news, and an event of kind ``lagged`` says how many.
    """

    def __init__(self, native: Union[_native.Events, _native.JobEvents]) -> None:
        self._native = native

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Event:
        event = self.next(None)
        if event is None:
            raise StopIteration
        return event

    def next(self, timeout: Optional[Seconds] = None) -> Optional[Event]:
        """The next; ``None``: there will be none any more.

        Raises:
            TimeoutError: None came within this limit.
        """
        answer = self._native.next(seconds(timeout))
        return None if answer is None else Event._of(answer)


class Computation:
    """A computation whose coordinator runs in this process. It lives until it is closed, told to quit,
    or its :class:`Server` is closed. A context manager, which closes it.
    """

    def __init__(self, native: _native.Computation, server: Optional[Server]) -> None:
        """Private: :meth:`Server.open` makes them."""
        self._native = native
        # A server that nobody else holds must not end before it.
        self._server = server
        keep_from_children(self, lambda this: [this._native.address])

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, with the port that was chosen."""
        return self._native.address

    @property
    def port(self) -> int:
        """The port on which it listens: what ``dmtcp_launch --coord-port`` needs."""
        return self.address[1]

    def environment(self, checkpoint_dir: Optional[StrPath] = None) -> dict[str, str]:
        """Variables with which a native worker is started that shall join it
        (:meth:`dmtcp.NativeWorker.join`); its images go to ``checkpoint_dir``, or its working
        directory."""
        host, port = self.address
        variables = {"DMTCP_RS_COORDINATOR": f"{host}:{port}", "DMTCP_RS_DIALECT": "V5"}
        if checkpoint_dir is not None:
            variables["DMTCP_RS_CKPT_DIR"] = os.fspath(Path(checkpoint_dir).absolute())
        return variables

    def status(self) -> Status:
        """Peers, running or not, interval.

        Raises:
            ServerError: It is closed, or its server has ended.
        """
        return Status._of(self._native.status())

    def workers(self) -> Workers:
        """Every worker, in the order in which they joined.

        Raises:
            ServerError: As for :meth:`status`.
        """
        return Workers._of(self._native.workers())

    def checkpoint(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> Sealed:
        """Makes a checkpoint and waits until it is complete and, with ``sets``, sealed.

        Raises:
            TimeoutError: It goes on, and an event tells its end; the text names who is late.
            CheckpointError: It failed; the text says why.
            CommandError: ``busy`` or ``not-running``; nothing was started then.
        """
        return Sealed._of(self._native.checkpoint(seconds(timeout)))

    def checkpoint_and_kill(self, timeout: Optional[Seconds] = CHECKPOINT_TIMEOUT) -> Sealed:
        """The same, and the workers exit behind it.

        Raises:
            DmtcpError: As for :meth:`checkpoint`.
        """
        return Sealed._of(self._native.checkpoint_and_kill(seconds(timeout)))

    def request_checkpoint(self) -> int:
        """Starts a checkpoint, and says with how many workers. Its end is told by event.

        Raises:
            CommandError: ``busy`` or ``not-running``.
        """
        return self._native.request_checkpoint()

    def set_interval(self, interval: Optional[Seconds]) -> None:
        """How often it is checkpointed without being asked; ``None``: not at all.

        Raises:
            ServerError: As for :meth:`status`.
        """
        self._native.set_interval(seconds(interval) or 0.0)

    def key_values(self) -> dict[str, dict[str, str]]:
        """All that its workers have put into the key-value store, by key space.

        Raises:
            ServerError: Its server has ended.
        """
        spaces: dict[str, dict[str, str]] = {}
        for space, (key, value) in self._native.key_values():
            spaces.setdefault(space, {})[key] = value
        return spaces

    def kill_workers(self, timeout: Seconds = 30) -> None:
        """Tells all workers to exit, without a checkpoint, and waits until they are gone.

        Raises:
            TimeoutError: They are not in time.
        """
        self._native.kill_workers(seconds(timeout))

    def wait_until_running(
        self, peers: Optional[int] = None, timeout: Optional[Seconds] = 60
    ) -> Status:
        """Waits until all workers run, and are ``peers`` if that is given.

        Raises:
            TimeoutError: They do not in time.
        """
        return Status._of(self._native.wait_until_running(peers, seconds(timeout)))

    def events(self) -> Events:
        """News from now on."""
        return Events(self._native.events())

    def metrics(self) -> str:
        """Counters and gauges, as Prometheus reads them."""
        return self._native.metrics()

    def trace(self) -> str:
        """Who was at which barrier when in the last rounds, as a trace that Perfetto draws, in JSON."""
        return self._native.trace()

    def quit(self, timeout: Seconds = 30) -> None:
        """Kills all workers and ends the computation.

        Raises:
            TimeoutError: Something of it is left.
        """
        self._native.quit(seconds(timeout))
        keep_from_children(self, lambda _: [])

    def close(self, timeout: Seconds = 30) -> None:
        """Ends the computation and with it its workers, without a checkpoint.

        Raises:
            TimeoutError: Mostly the sealer, which goes on.
        """
        self._native.close(seconds(timeout))
        keep_from_children(self, lambda _: [])

    def __enter__(self) -> Computation:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        host, port = self.address
        return f"<Computation {host}:{port}>"


class _Default:
    """One server for all jobs of this process that are given none."""

    def __init__(self) -> None:
        self.reset()
        # The parent's thread is not there in a child, and its lock may be taken for good.
        os.register_at_fork(after_in_child=self.reset)

    def reset(self) -> None:
        self._lock = threading.Lock()
        self._server: Optional[Server] = None

    def get(self) -> Server:
        with self._lock:
            if self._server is None:
                self._server = Server()
            return self._server


_default = _Default()
