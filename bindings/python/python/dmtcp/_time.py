"""Lengths of time and points in it, as callers say them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Union

Seconds = Union[float, timedelta]
"""A length of time: seconds, or a ``timedelta``."""


def seconds(length: Seconds | None) -> float | None:
    """In seconds; ``None`` stays."""
    if isinstance(length, timedelta):
        return length.total_seconds()
    return None if length is None else float(length)


def moment(unix: float) -> datetime:
    """A point in time, in the local zone."""
    return datetime.fromtimestamp(unix, tz=timezone.utc).astimezone()


def length(text: float | None) -> timedelta | None:
    """From seconds; ``None`` and 0 mean none."""
    return timedelta(seconds=text) if text else None


def spoken(span: timedelta | None) -> str:
    """For people."""
    return "none" if span is None else str(span)
