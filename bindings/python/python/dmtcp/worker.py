"""This program as a worker: it is checkpointed at points of its own choosing, without DMTCP."""

from __future__ import annotations

import os
import pickle
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence, Union, cast

from . import _address, _native
from ._address import Address
from ._errors import WorkerError, WorkerExit
from ._fork import keep_from_children
from ._time import Seconds, seconds
from .coordinator import Dialect
from .tools import StrPath, words

Buffer = Any
"""Whatever has contiguous memory: ``bytes``, ``bytearray``, ``memoryview``, ``array``, NumPy arrays."""


@dataclass(frozen=True)
class Checkpointed:
    """A checkpoint was taken at a safe point: all workers have written their images.

    Attributes:
        generation: Of the computation.
        image: This worker's image.
    """

    generation: int
    image: Path


class NativeWorker:
    """This process as a worker of a computation; it answers at its :meth:`safe points <safe_point>`.

    ::

        with dmtcp.NativeWorker.join() as worker:
            state = worker.restore({"step": 0, "sum": 0.0})
            while state["step"] < 1000:
                ...
                worker.safe_point(state)

    While nothing is asked, a safe point costs less than a microsecond. Between two of them the worker
    answers nothing and holds up every checkpoint of its computation.

    An image holds the state that is handed in and how the program was started, nothing else: no open
    file, socket, thread or variable of the environment. It is restarted by running the same command
    again; :meth:`restore` then gives the state.

    As a context manager it leaves the computation at the end of the block. When the computation is over
    for this worker, the block ends the program as DMTCP would: with code 0 if it was told to exit.
    """

    def __init__(self, native: _native.NativeWorker) -> None:
        """Private: :meth:`join` makes them."""
        self._native = native

    @classmethod
    def join(
        cls,
        coordinator: Optional[Address] = None,
        *,
        dialect: Optional[Dialect] = None,
        checkpoint_dir: Optional[StrPath] = None,
        image: Optional[StrPath] = None,
        join_limit: Optional[Seconds] = None,
        barrier_limit: Optional[Seconds] = None,
        command: Optional[Sequence[StrPath]] = None,
        any_user: bool = False,
    ) -> NativeWorker:
        """Joins the computation that launched this process, or one that is named.

        Args:
            coordinator: Which to join; the one of the environment if not given, where a
                :class:`dmtcp.Job` with ``native=True`` puts it.
            dialect: What a named coordinator speaks; ``main`` if not given, which is right for those of
                this library.
            checkpoint_dir: Where images go.
            image: Restart from this image.
            join_limit: For connecting and being taken in; 30 s if not given.
            barrier_limit: For the slowest worker of the computation at each step; ten minutes if not
                given.
            command: How images are restarted; as this process was started if not given.
            any_user: Whether a coordinator of any user of this host is obeyed.

        Raises:
            WorkerError: ``not-launched``: nobody started this process as a worker; ``rejected``.
            ConnectError: Nobody listens there.
            TimeoutError: It was not taken in in time.
        """
        host, port = _address.parts(coordinator)
        if coordinator is not None and dialect is None:
            dialect = "main"
        native = _native.join(
            _command() if command is None else words(command),
            host,
            port,
            dialect,
            checkpoint_dir,
            image,
            seconds(join_limit),
            seconds(barrier_limit),
            any_user,
        )
        worker = cls(native)
        named = coordinator or os.environ.get("DMTCP_RS_COORDINATOR")
        if named is not None:
            host, _, named_port = _address.numeric(named).rpartition(":")
            end = (host, int(named_port))
            keep_from_children(worker, lambda _: [end])
        return worker

    @staticmethod
    def was_launched() -> bool:
        """Whether this process was started as a worker, so that :meth:`join` finds its computation."""
        return _native.was_launched()

    def is_asked(self) -> bool:
        """Whether the next safe point has something to do.

        For programs to whom it costs something to get their state together.
        """
        return self._native.is_asked()

    def safe_point(self, state: object) -> Optional[Checkpointed]:
        """Takes part in a checkpoint if one is asked for.

        The state is pickled then, and unpickled once to prove that it can be. Arrays and other large
        buffers in it are written from where they are, without copies: no other thread may change them
        meanwhile. When Ctrl-C, or what else a signal's handler raises, ends a safe point in its middle,
        this worker leaves, so that a state that changes then gets into no image.

        Returns:
            ``None``: nothing was asked.

        Raises:
            WorkerExit: The computation is over for this process.
            WorkerError: The state cannot be pickled, or the image could not be written; this worker has
                left.
        """
        if not self._native.is_asked():
            return None
        return self._answer(_pack, state)

    def safe_point_bytes(self, state: Union[Buffer, Sequence[Buffer]]) -> Optional[Checkpointed]:
        """The same for a state that the program has encoded itself: a buffer, or a list or tuple of
        them, which are written one behind the other, without copies.

        Raises:
            WorkerError: ``state``: something is no buffer, or not contiguous; and as :meth:`safe_point`.
        """
        if not self._native.is_asked():
            return None
        return self._answer(_raw, state)

    def _answer(self, encode: Callable[[Any], List[Buffer]], state: object) -> Optional[Checkpointed]:
        try:
            parts = encode(state)
        except BaseException:
            # The others must not wait for an image that will not come.
            self._native.leave()
            raise
        done = self._native.safe_point(parts)
        return None if done is None else Checkpointed(*done)

    def restore(self, default: Any = None) -> Any:
        """The state of the image; ``default`` behind a fresh start.

        Waits until all processes of the computation are there. Arrays in the state lie in the memory
        that the image was read into. **Unpickling runs code that is in the image**: restart what you
        would also run.

        Raises:
            WorkerError: ``state``: it cannot be unpickled, or was written by
                :meth:`safe_point_bytes`.
        """
        restored = self._native.restore()
        return default if restored is None else _unpack(memoryview(cast(Any, restored)))

    def restore_bytes(self) -> Optional[memoryview]:
        """The bytes of the image of a program that uses :meth:`safe_point_bytes`, in memory that can be
        written to, as ``numpy.frombuffer`` does; ``None`` behind a fresh start."""
        restored = self._native.restore()
        return None if restored is None else memoryview(cast(Any, restored))

    def finish(self) -> None:
        """Leaves the computation because the program is done.

        Raises:
            WorkerError: ``not-restored``: it never asked for the state that it was restarted with.
        """
        self._native.finish()

    @property
    def identity(self) -> str:
        """Identity of this process in the computation, as DMTCP prints it."""
        return self._native.identity()[0]

    @property
    def image_path(self) -> Path:
        """Where this worker's images go."""
        return self._native.identity()[2]

    def __enter__(self) -> NativeWorker:
        return self

    def __exit__(self, _kind: object, error: Optional[BaseException], _trace: object) -> None:
        if error is None:
            self.finish()
            return
        self._native.leave()
        if isinstance(error, WorkerExit):
            if error.exit_code != 0:
                print(f"dmtcp: {error}", file=sys.stderr)
            raise SystemExit(error.exit_code) from None


def _command() -> list[str]:
    """As this process was started: the interpreter by its own name, which a virtual environment is
    found by."""
    return [sys.executable, *sys.orig_argv[1:]] if sys.executable else []


# A pickled state: this, the length of the pickle and the number of buffers behind it; the length of each
# buffer; the pickle; the buffers. Pickle and buffers begin at multiples of ALIGNMENT.
_HEAD = struct.Struct("<8sQQ")
_MAGIC = b"DMTCPPY1"
_ALIGNMENT = 64


def _padding(length: int) -> bytes:
    return bytes(-length % _ALIGNMENT)


def _pack(state: object) -> List[Buffer]:
    buffers: List[pickle.PickleBuffer] = []
    try:
        pickled = pickle.dumps(state, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        pickle.loads(pickled, buffers=views)
    except Exception as error:
        raise WorkerError(f"the state cannot be pickled: {error}", "state", "caller") from error
    head = _HEAD.pack(_MAGIC, len(pickled), len(views))
    head += struct.pack(f"<{len(views)}Q", *(view.nbytes for view in views))
    parts: List[Buffer] = [head, _padding(len(head)), pickled, _padding(len(pickled))]
    for view in views:
        parts += [view, _padding(view.nbytes)]
    return parts


def _raw(state: Any) -> List[Buffer]:
    try:
        parts = state if isinstance(state, (list, tuple)) else [state]
        return [pickle.PickleBuffer(part).raw() for part in parts]
    except (TypeError, ValueError, BufferError) as error:
        text = f"the state is no contiguous memory: {error}"
        raise WorkerError(text, "state", "caller") from error


def _unpack(memory: memoryview) -> Any:
    try:
        magic, length, count = _HEAD.unpack_from(memory)
        if magic != _MAGIC:
            raise ValueError("it was not written by `safe_point`: use `restore_bytes`")
        lengths = struct.unpack_from(f"<{count}Q", memory, _HEAD.size)
        at = _aligned(_HEAD.size + 8 * count)
        pickled = memory[at : at + length]
        at = _aligned(at + length)
        buffers = []
        for size in lengths:
            buffers.append(memory[at : at + size])
            at = _aligned(at + size)
        return pickle.loads(pickled, buffers=buffers)
    except Exception as error:
        raise WorkerError(f"the state cannot be restored: {error}", "state", "caller") from error


def _aligned(offset: int) -> int:
    return offset + -offset % _ALIGNMENT
