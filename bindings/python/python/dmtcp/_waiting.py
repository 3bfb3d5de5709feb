"""Calls of the extension module from ``asyncio``: awaited, with no thread of the loop's executor."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import Any, Callable, Optional

from . import _native


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Awaits a call that takes a callback behind its arguments.

    When the task is cancelled, the call is given up, but not what was asked for: a checkpoint that has
    begun goes on, and a command is never half sent.
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

    # None for one that blocks a thread, and cannot be given up.
    pending: Optional[_native.Pending] = function(*arguments, done)
    try:
        return await answered
    finally:
        if pending is not None:
            pending.cancel()


class Later:
    """An answer that is asked for once and awaited any number of times, one after the other or at the same
    time, from any loop: who is cancelled takes nothing away from others. Dropping it gives the call up."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._ask: Optional[Callable[..., Any]] = function
        self._arguments = arguments
        self._pending: Optional[_native.Pending] = None
        self._lock = threading.Lock()
        self._answer: Optional[tuple[Any, Optional[BaseException]]] = None
        self._waiting: set[asyncio.Future[None]] = set()

    async def get(self) -> Any:
        """The answer, or what the call raised."""
        with self._lock:
            ask, self._ask = self._ask, None
        if ask is not None:
            try:
                self._pending = ask(*self._arguments, self._weakly_done())
            except BaseException:
                self._ask = ask
                raise
        while True:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            with self._lock:
                if self._answer is not None:
                    answer, error = self._answer
                    break
                self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)
        if error is not None:
            raise error
        return answer

    def _weakly_done(self) -> Callable[[Any, Optional[BaseException]], None]:
        # The call has this as long as it is under way, which must not keep what would end it.
        this = weakref.ref(self)

        def done(answer: Any, error: Optional[BaseException]) -> None:
            later = this()
            if later is not None:
                later._done(answer, error)

        return done

    def _done(self, answer: Any, error: Optional[BaseException]) -> None:
        with self._lock:
            self._answer = (answer, error)
            waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            try:
                waiter.get_loop().call_soon_threadsafe(_wake, waiter)
            except RuntimeError:
                # The loop is closed: nobody waits there any more.
                pass


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
