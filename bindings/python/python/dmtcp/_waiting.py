"""Calls of the extension module from ``asyncio``: awaited, with no thread of the loop's executor."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Awaits a call that takes a callback behind its arguments.

    When the task is cancelled, the call goes on to its end by itself, within its own limit: a command
    is never half sent.
    """
    return await future(function, *arguments)


def future(function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
    """The same as something that can be awaited more than once."""
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

    function(*arguments, done)
    return answered
