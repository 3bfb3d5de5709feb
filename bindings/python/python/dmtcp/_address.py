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
    host: str | None
    if isinstance(address, int):
        host, port = "127.0.0.1", address
    elif isinstance(address, tuple):
        host, port = address
    else:
        host, colon, text = address.rpartition(":")
        if not colon:
            return address, None
        port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port < 1 << 16:
        raise CallerError(f"{address!r} is not HOST:PORT", "argument", "caller")
    return host or None, port


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
