"""Where the state of one task is, and when it is of that very task."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmtcp._fork import keep_file_from_children
from dmtcp._time import seconds

from ._report import Report, TaskInterrupted
from ._settings import Settings

#: A list is run as it is; a string by bash.
Command = str | Sequence["str | os.PathLike[str]"]

#: Between two looks whether somebody else is done.
_PAUSE = 0.25
_SCRIPTS = (".py", ".R", ".r", ".jl", ".sh", ".pl", ".rb", ".js", ".m", ".lua")


@dataclass(frozen=True)
class Place:
    """The folder of one task: ``state`` is its job's, ``work`` is for files that it has open."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings, names: Sequence[str], identity: Mapping[str, Any]) -> Place:
        """The place of the task of these names. ``identity`` is JSON: other values, other place."""
        whole = {**identity, "cwd": settings.cwd, "native": settings.native}
        text = json.dumps(whole, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return cls(Path(str(settings.state_root), *map(_component, names), digest))

    @property
    def state(self) -> Path:
        """The job's state directory."""
        return self.folder / "state"

    @property
    def work(self) -> Path:
        """Files of the program that have to outlive a try."""
        return self.folder / "work"

    @contextlib.contextmanager
    def held(self, name: str, settings: Settings) -> Iterator[None]:
        """Has the place to itself, from before its files are looked at until they are where they belong.

        Who asks for the same task meanwhile, be it in this process, waits for ``held_timeout`` and then begins
        afresh. Raises :class:`TaskInterrupted` where that is over.
        """
        give_up = time.monotonic() + seconds(settings.held_timeout)
        lock = self._lock()
        while lock is None:
            if time.monotonic() > give_up:
                text = f"the same task still runs elsewhere: {self.folder.name}.lock is locked"
                hint = "run it when that has ended, or give it other parameters"
                state = str(self.state)
                raise TaskInterrupted(Report(name, "try-again", "held", 75, text, hint, state, None))
            time.sleep(_PAUSE)
            lock = self._lock()
        try:
            yield
        finally:
            self._unlock(lock)

    def forget_unless_held(self) -> None:
        """Removes the state of a job, unless somebody is at it."""
        lock = self._lock()
        if lock is not None:
            try:
                self.forget()
            finally:
                self._unlock(lock)

    def _lock(self) -> int | None:
        path = self._lock_path()
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except FileNotFoundError:
                continue  # Whoever had it last has removed the folder of the name.
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock), os.stat(path)):
                    keep_file_from_children(path)
                    return lock
                os.close(lock)  # It was removed by whoever had it, and may be there again.
            except FileNotFoundError:
                os.close(lock)
            except BlockingIOError:
                os.close(lock)
                return None
            except BaseException:
                os.close(lock)
                raise

    def _unlock(self, lock: int) -> None:
        self._lock_path().unlink(missing_ok=True)
        os.close(lock)
        self._remove_empty_parents()

    def _lock_path(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.lock")

    def others(self) -> list[Path]:
        """Places of the same name: of other parameters, or of files that were changed since."""
        if not self.folder.parent.is_dir():
            return []
        entries = self.folder.parent.iterdir()
        left = (entry for entry in entries if entry != self.folder and entry.suffix != ".finished")
        return sorted(entry for entry in left if (entry / "state").is_dir())

    def newest_set(self) -> int | None:
        """The number of the newest set that is there."""
        try:
            names = [entry.name for entry in (self.state / "sets").iterdir()]
        except OSError:
            return None
        return max((int(name) for name in names if name.isdigit()), default=None)

    def has_finished(self) -> bool:
        """Whether its job has finished with 0, in a try that could not tell its engine any more."""
        try:
            outcome = json.loads((self.state / "outcome.json").read_text())
        except (OSError, ValueError):
            return False
        return bool(outcome.get("slug") == "finished" and outcome.get("code") == 0)

    def forget(self) -> None:
        """Removes the state of a job that does not run."""
        # Under another name first: what is half removed shall not be gone on from.
        aside = self.folder.with_name(f"{self.folder.name}.removed-{os.getpid()}-{time.time_ns()}")
        try:
            self.folder.rename(aside)
        except FileNotFoundError:
            return
        shutil.rmtree(aside, ignore_errors=True)
        self._remove_empty_parents()

    def set_aside(self) -> Path:
        """Renames the state of a job that has finished, in place of the one before it."""
        aside = self.folder.with_name(f"{self.folder.name}.finished")
        shutil.rmtree(aside, ignore_errors=True)
        self.folder.rename(aside)
        return aside

    def _remove_empty_parents(self) -> None:
        try:
            self.folder.parent.rmdir()
        except OSError:
            pass  # Another task of the name has its place there.


def program_files(command: Command, settings: Settings) -> list[str]:
    """The file of the program, and its script where that is the first word without a dash."""
    if isinstance(command, str):
        try:
            words = shlex.split(command, comments=True)
        except ValueError:
            return []
    else:
        words = [os.fspath(word) for word in command]
    if not words:
        return []
    program = words[0]
    if os.sep in program:
        program = os.path.join(str(settings.cwd), program)
    files = [path for path in [shutil.which(program)] if path]
    for word in words[1:]:
        if not word.startswith("-"):
            script = os.path.join(str(settings.cwd), word)
            if word.endswith(_SCRIPTS) and os.path.isfile(script):
                files.append(script)
            break
    return files


def fingerprints(paths: Iterable[str], settings: Settings) -> list[Any]:
    """Size and time of change of each file, by which it is noticed that it is another one."""
    found: list[Any] = []
    for path in paths:
        absolute = os.path.join(str(settings.cwd), path)
        try:
            status = os.stat(absolute)
        except OSError:
            found.append([absolute, None, None])
        else:
            found.append([absolute, status.st_size, status.st_mtime_ns])
    return found


def _component(text: str) -> str:
    """A file name that people recognise."""
    plain = re.sub(r"[^A-Za-z0-9._=+,-]+", "-", text).strip(".-") or "task"
    if plain != text or len(plain) > 100:
        plain = plain[:91] + "-" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return plain
