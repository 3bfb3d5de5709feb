"""Where a coordinator is, as callers say it."""

from __future__ import annotations

import socket
from typing import Protocol, Tuple, Union, runtime_checkable

from ._errors import CallerError


@runtime_checkable
class HasAddress(Protocol):
    """A handle to a coordinator: it knows where that listens."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        ...


Address = Union[str, int, Tuple[str, int], HasAddress]
"""``"host:port"``, a port of this host, a pair of both, or a handle to a coordinator."""


def parts(address: Address | None) -> tuple[str | None, int | None]:
    """Host and port, each ``None`` where the environment or DMTCP's default decides."""
    if address is None:
        return None, None
    if isinstance(address, HasAddress):
        return address.address
    if isinstance(address, int):
        return "127.0.0.1", address
    if isinstance(address, tuple):
        return address
    host, colon, port = address.rpartition(":")
    if not colon:
        return address, None
    try:
        return host or None, int(port)
    except ValueError:
        raise CallerError(f"{address!r} is not HOST:PORT", "argument", "caller") from None


def numeric(address: Address) -> str:
    """As an IPv4 address and a port, which DMTCP's programs take."""
    host, port = parts(address)
    if port is None:
        raise CallerError(f"{address!r} names no port", "argument", "caller")
    try:
        host = socket.gethostbyname(host or "127.0.0.1")
    except OSError as error:
        text = f"{host!r} is not a host with an IPv4 address: {error}"
        raise CallerError(text, "environment", "caller") from error
    return f"{host}:{port}"
