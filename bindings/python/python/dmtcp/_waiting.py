"""Calls of the extension module from ``asyncio``: awaited, with no thread of the loop's executor."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional

from . import _native


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Awaits a call that takes a callback behind its arguments.

    When the task is cancelled, the call is given up, but not what was asked for: a checkpoint that has
    begun goes on, and a command is never half sent.
    """
    answered, pending = begin(function, *arguments)
    try:
        return await answered
    finally:
        if pending is not None:
            pending.cancel()


def begin(
    function: Callable[..., Any], *arguments: Any
) -> tuple[asyncio.Future[Any], Optional[_native.Pending]]:
    """The same as something that can be awaited more than once, as long as what is beside it is kept.

    That is ``None`` for a call that blocks a thread of its own and cannot be given up.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Any] = loop.create_future()

    def settle(answer: Any, error: Optional[BaseException]) -> None:
        if answered.cancelled():
            return
        if error is not None:
            answered.set_exception(error)
        else:
            answered.set_result(answer)

    def done(answer: Any, error: Optional[BaseException]) -> None:
        try:
            loop.call_soon_threadsafe(settle, answer, error)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            pass

    return answered, function(*arguments, done)
