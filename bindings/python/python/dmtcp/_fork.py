"""What a child that was forked off must not keep open: its parent's connections, listeners and locks.

A child, of :mod:`multiprocessing` as an example, may outlive its parent. With these in its hands the workers of a
parent that was killed would compute on without a coordinator, and its jobs and sets would stay taken.
"""

from __future__ import annotations

import os
import socket
import threading
import weakref
from typing import Any, Callable, Iterable, Optional

Address = tuple[str, int]

_ends: weakref.WeakKeyDictionary[Any, Callable[[Any], Iterable[Address]]] = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()
_files: set[str] = set()
# From before a fork until after it.
_theirs: set[Address] = set()


def keep_from_children(holder: Any, ends: Callable[[Any], Iterable[Address]]) -> None:
    """Sockets of this process that have an end at one of these addresses, as they are at a fork."""
    with _lock:
        _ends[holder] = ends


def keep_locks_from_children(state_dir: Any) -> None:
    """The lock on the sets in this state directory."""
    keep_file_from_children(os.path.join(state_dir, "sets", ".lock"))


def keep_file_from_children(path: Any) -> None:
    """A file that is open as long as it is locked."""
    _files.add(os.path.realpath(path))


def _before() -> None:
    with _lock:
        holders = list(_ends.items())
    for holder, ends in holders:
        try:
            _theirs.update(ends(holder))
        except Exception:
            # It is closed, or its own parent's: it has none.
            pass


def _in_parent() -> None:
    _theirs.clear()


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()
    if _theirs or _files:
        for name in os.listdir("/proc/self/fd"):
            if _is_theirs(int(name)):
                os.close(int(name))
    _ends.clear()
    _files.clear()
    _theirs.clear()


def _is_theirs(fd: int) -> bool:
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")
        if not target.startswith("socket:"):
            return target in _files
        with socket.socket(fileno=os.dup(fd)) as one:
            return _end(one.getsockname) in _theirs or _end(one.getpeername) in _theirs
    except OSError:
        return False


def _end(name: Callable[[], Any]) -> Optional[Address]:
    try:
        address = name()
    except OSError:
        return None
    return address[:2] if isinstance(address, tuple) else None


os.register_at_fork(
    before=_before, after_in_parent=_in_parent, after_in_child=_in_child
)
