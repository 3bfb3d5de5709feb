"""Lengths of time and points in it, as callers say them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import SupportsFloat, SupportsIndex, Union, overload

from ._errors import CallerError

Seconds = Union[float, timedelta]
"""A length of time: seconds, or a ``timedelta``."""


@overload
def seconds(length: Seconds) -> float: ...
@overload
def seconds(length: Seconds | None) -> float | None: ...
def seconds(length: Seconds | None) -> float | None:
    """In seconds; ``None`` stays."""
    if length is None:
        return None
    if isinstance(length, timedelta):
        length = length.total_seconds()
    # A text is none, although float() reads it: "60" may well have been meant as minutes.
    if not isinstance(length, (SupportsFloat, SupportsIndex)):
        kind = type(length).__name__
        raise TypeError(f"a length of time is a number of seconds or a timedelta, not {kind}: {length!r}")
    try:
        length = float(length)
    except (ValueError, OverflowError):
        length = float("nan")
    if length >= 0:
        return length
    raise CallerError("a length of time is a number, 0 or more, or a timedelta", "argument", "caller")


def moment(unix: float) -> datetime:
    """A point in time, in the local zone."""
    return datetime.fromtimestamp(unix, tz=timezone.utc).astimezone()


def length(text: float | None) -> timedelta | None:
    """From seconds; ``None`` and 0 mean none."""
    return timedelta(seconds=text) if text else None


def spoken(span: timedelta | None) -> str:
    """For people."""
    return "none" if span is None else str(span)
