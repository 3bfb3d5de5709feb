"""A coordinator of its own process, which outlives its caller."""

from __future__ import annotations

import os
from typing import Any, Optional, Self, Sequence

from . import _address, _native
from ._address import Address
from ._time import Seconds, seconds
from .cli import dmtcpctl_path
from .coordinator import Coordinator
from .tools import StrPath


class HelperCoordinator:
    """Our coordinator as a process of its own: ``dmtcpctl coordinator``, detached.

    It runs until it is told to :meth:`quit`, or has had no processes for ``stale_timeout``. To reach it
    from another process, keep its :attr:`address`: ``dmtcp.Coordinator(address)``.

    Attributes:
        address: Where it listens.
        pid: The number of its process.
    """

    address: tuple[str, int]
    pid: int
    # Tells its process from a later one of the same number.
    _start_time: int

    @classmethod
    def start(
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
        """Starts one, and returns when it answers.

        Args:
            address: Where it listens; port 0 takes a free one. Only this user's processes on this host
                may connect, unless ``raw_options`` say more.
            interval: Between periodic checkpoints; ``None``: only when asked for.
            checkpoint_dir: Where the restart script goes.
            exit_on_last: Whether it ends with its last process.
            stale_timeout: It ends after this time without processes; ``None``: never.
            port_file: A file for the number of its port, there when it serves.
            log_file: A file to which it adds what happens.
            raw_options: Further options of ``dmtcpctl coordinator``, unchecked.
            program: The file of ``dmtcpctl``; :func:`dmtcp.dmtcpctl_path` if not given.
            timeout: How long it may take until it answers.

        Raises:
            ToolError: There is no ``dmtcpctl``, or it does not stay.
            ServerError: The address cannot be had.
            TimeoutError: It does not answer in time.
        """
        return cls._of(
            _native.start_helper(
                *cls._arguments(
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
            )
        )

    @classmethod
    def _of(cls, answer: tuple[tuple[str, int], tuple[int, int]]) -> Self:
        this = cls.__new__(cls)
        this.address, (this.pid, this._start_time) = answer
        return this

    @staticmethod
    def _arguments(
        *,
        address: Address,
        interval: Optional[Seconds],
        checkpoint_dir: StrPath,
        exit_on_last: bool,
        stale_timeout: Optional[Seconds],
        port_file: Optional[StrPath],
        log_file: Optional[StrPath],
        raw_options: Sequence[str],
        program: Optional[StrPath],
        timeout: Seconds,
    ) -> tuple[Any, ...]:
        stale = seconds(stale_timeout)
        options = ["--stale-timeout", "-1" if stale is None else str(max(1, int(stale)))]
        if exit_on_last:
            options.append("--exit-on-last")
        return (
            dmtcpctl_path() if program is None else os.fspath(program),
            _address.numeric(address),
            seconds(interval) or None,
            [*options, *raw_options],
            os.fspath(checkpoint_dir),
            port_file,
            log_file,
            seconds(timeout),
        )

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return self.address[1]

    @property
    def is_running(self) -> bool:
        """Whether its process runs on this host; another that has its number by now does not count.

        Nothing is sent: whether it answers, :meth:`dmtcp.Coordinator.status` says.

        Raises:
            ToolError: ``/proc`` cannot be read.
        """
        return _native.is_running(self.pid, self._start_time)

    def coordinator(self, timeout: Seconds = 10) -> Coordinator:
        """A handle to it."""
        return Coordinator(self.address, timeout=timeout)

    def quit(self) -> None:
        """Kills its workers and ends it.

        Raises:
            TimeoutError: It still listens.
        """
        self.coordinator().quit()

    def __repr__(self) -> str:
        return f"<HelperCoordinator {self.address[0]}:{self.port} (pid {self.pid})>"
