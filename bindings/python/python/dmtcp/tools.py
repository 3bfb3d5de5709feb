"""DMTCP's own programs, and those that they start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Iterable, Literal, Mapping, Optional, Sequence, Union

from . import _address, _native
from ._address import Address
from ._errors import CallerError
from ._time import Seconds, seconds
from ._values import Exit

StrPath = Union[str, "os.PathLike[str]"]
"""A path or a word of a command line."""

Messages = Literal["all", "warnings", "errors"]
"""Which of DMTCP's own messages appear among a program's errors."""

StreamTarget = Union[bool, StrPath]
"""``True``: that of this process; ``False``: nothing (``/dev/null``); a path: that file."""


class Tools:
    """The folder of one DMTCP installation."""

    def __init__(self, directory: StrPath) -> None:
        """The programs in this directory, and nowhere else.

        Raises:
            ToolError: One of them is not there.
        """
        self._directory = _native.find_tools(directory, False)[0]

    @classmethod
    def find(cls, directory: Optional[StrPath] = None) -> Tools:
        """Looks in ``directory`` if given, else in the folders of the variable ``DMTCP_BIN`` if that is
        set, else in those of ``PATH``.

        Raises:
            ToolError: No folder has all programs; the text says where was looked.
        """
        return cls(_native.find_tools(directory, False)[0])

    @property
    def directory(self) -> Path:
        """The folder, absolute."""
        return self._directory

    def version(self) -> str:
        """The release, as its programs tell it; waits at most five seconds.

        Raises:
            ToolError: They cannot be asked, or do not answer as DMTCP does.
        """
        version = _native.find_tools(self._directory, True)[1]
        return version or ""

    def __repr__(self) -> str:
        return f"Tools({os.fspath(self._directory)!r})"


def words(argv: Sequence[StrPath]) -> list[str]:
    """A command line; one word instead of a sequence is a mistake."""
    if isinstance(argv, (str, bytes, os.PathLike)):
        text = f"the command line is a sequence of words, as in [{argv!r}], not one text"
        raise CallerError(text, "argument", "caller")
    return [os.fspath(word) for word in argv]


def program(
    argv: Sequence[StrPath],
    env: Optional[Mapping[str, str]],
    cwd: Optional[StrPath],
    gzip: bool = True,
    checkpoint_open_files: bool = False,
    messages: Messages = "all",
    raw_options: Iterable[str] = (),
) -> dict[str, Any]:
    """As the extension module takes it."""
    return {
        "argv": words(argv),
        "env": list((env or {}).items()),
        "cwd": cwd,
        "gzip": gzip,
        "open_files": checkpoint_open_files,
        "messages": messages,
        "raw_options": list(raw_options),
    }


def streams(stdin: StreamTarget, stdout: StreamTarget, stderr: StreamTarget) -> dict[str, Any]:
    """As the extension module takes them."""
    return {"stdin": stdin, "stdout": stdout, "stderr": stderr}


class Child:
    """A process under DMTCP, with its process group.

    **The group is killed when this object goes**, unless it was :meth:`detached <detach>`. As a context
    manager it is :meth:`stopped <stop>` at the end of the block.
    """

    def __init__(self, native: _native.Child) -> None:
        self._native = native

    @property
    def pid(self) -> int:
        """Number of the process, and of its group."""
        return self._native.pid

    def poll(self) -> Optional[Exit]:
        """How it ended; ``None``: it runs."""
        ended = self._native.poll()
        return None if ended is None else Exit(*ended)

    def wait(self, timeout: Optional[Seconds] = None) -> Exit:
        """Waits until it ends; ``None``: without a limit.

        Raises:
            TimeoutError: It still runs; nothing was done to it.
        """
        return Exit(*self._native.wait(seconds(timeout)))

    def terminate(self) -> None:
        """Sends SIGTERM to its group."""
        self._native.signal_group("SIGTERM")

    def kill(self) -> None:
        """Sends SIGKILL to its group."""
        self._native.signal_group("SIGKILL")

    def stop(self, grace: Seconds = 10) -> Exit:
        """SIGTERM to its group, then, behind ``grace``, SIGKILL; returns when all have ended."""
        return Exit(*self._native.stop(seconds(grace)))

    def detach(self) -> None:
        """It runs on, whatever becomes of this object."""
        self._native.detach()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._native.poll() is None:
            self.stop()

    def __repr__(self) -> str:
        return f"<Child {self.pid}>"


class Launch:
    """Starts a program under DMTCP, as a new worker of a coordinator that runs: ``dmtcp_launch``.

    The program runs in a process group of its own, without input unless ``stdin`` says otherwise, and
    in this process's environment except for what another DMTCP left there. For a program that is to be
    started *or* to go on, with checkpoints in time, see :class:`dmtcp.Job`.
    """

    def __init__(
        self,
        argv: Sequence[StrPath],
        *,
        coordinator: Address,
        tools: Optional[Tools] = None,
        env: Optional[Mapping[str, str]] = None,
        cwd: Optional[StrPath] = None,
        checkpoint_dir: Optional[StrPath] = None,
        tmpdir: Optional[StrPath] = None,
        gzip: bool = True,
        checkpoint_open_files: bool = False,
        interval: Optional[Seconds] = None,
        messages: Messages = "all",
        stdin: StreamTarget = False,
        stdout: StreamTarget = True,
        stderr: StreamTarget = True,
        raw_options: Iterable[str] = (),
    ) -> None:
        """
        Args:
            argv: The program and its arguments.
            coordinator: The coordinator to join.
            tools: DMTCP's programs; found if not given.
            env: Variables that are set for the program beside those of this process.
            cwd: Where the program starts; here if not given.
            checkpoint_dir: Where images go; where the program starts if not given.
            tmpdir: For DMTCP's temporary files; the same for all processes of a computation.
            gzip: Whether images are compressed, which takes several times longer.
            checkpoint_open_files: Whether images hold the contents of open files, too.
            interval: The *coordinator's* checkpoint interval; unchanged if not given.
            messages: Which of DMTCP's messages appear.
            stdin: Standard input.
            stdout: Standard output.
            stderr: Standard error.
            raw_options: Further options of ``dmtcp_launch``, unchecked.
        """
        self._program = program(
            argv, env, cwd, gzip, checkpoint_open_files, messages, raw_options
        )
        self._tools = tools or Tools.find()
        self._rest = (
            _address.numeric(coordinator),
            checkpoint_dir,
            tmpdir,
            seconds(interval),
            streams(stdin, stdout, stderr),
        )

    def spawn(self) -> Child:
        """Starts it. That it joined is for the coordinator to tell.

        Raises:
            ToolError: It could not be started.
        """
        return Child(_native.launch(self._tools.directory, self._program, *self._rest))


class Restart:
    """Restarts the processes of this host from their images: ``dmtcp_restart``.

    That it started means nothing yet: a restart is done when the coordinator sees all peers running
    (:meth:`dmtcp.Computation.wait_until_running`). :class:`dmtcp.Job` does all of that.
    """

    def __init__(
        self,
        images: Iterable[StrPath],
        *,
        coordinator: Address,
        tools: Optional[Tools] = None,
        checkpoint_dir: Optional[StrPath] = None,
        tmpdir: Optional[StrPath] = None,
        interval: Optional[Seconds] = None,
        strict_checking: bool = True,
        messages: Messages = "all",
        stdin: StreamTarget = False,
        stdout: StreamTarget = True,
        stderr: StreamTarget = True,
    ) -> None:
        """
        Args:
            images: All images of one computation on this host.
            coordinator: The coordinator to join.
            tools: DMTCP's programs, of the release that wrote the images; found if not given.
            checkpoint_dir: Where later images go; where they went before if not given.
            tmpdir: For DMTCP's temporary files.
            interval: The *coordinator's* checkpoint interval; unchanged if not given.
            strict_checking: Whether to refuse images of another user.
            messages: Which of DMTCP's messages appear.
            stdin: Standard input.
            stdout: Standard output.
            stderr: Standard error.
        """
        self._tools = tools or Tools.find()
        self._rest = (
            [os.fspath(image) for image in images],
            _address.numeric(coordinator),
            checkpoint_dir,
            tmpdir,
            seconds(interval),
            strict_checking,
            messages,
            streams(stdin, stdout, stderr),
        )

    def spawn(self) -> Child:
        """Starts it, after a look whether all images are there.

        Raises:
            ToolError: It could not be started.
        """
        return Child(_native.restart(self._tools.directory, *self._rest))
