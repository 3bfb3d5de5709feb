"""Checkpoint sets on disk, and what images say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

from . import _html, _native
from ._fork import keep_locks_from_children
from ._time import Seconds, moment, seconds
from .tools import StrPath


class CheckpointSet:
    """All images of one round, as they were sealed. Its manifest is read, its images are not."""

    def __init__(self, directory: StrPath) -> None:
        """Opens a set by its directory; nothing is locked.

        Raises:
            SetError: It is no set, or its manifest cannot be used.
        """
        self._native = _native.CheckpointSet.open(directory)

    @classmethod
    def _of(cls, native: _native.CheckpointSet) -> CheckpointSet:
        this = cls.__new__(cls)
        this._native = native
        return this

    @property
    def directory(self) -> Path:
        """The directory of the set."""
        return self._native.directory

    @property
    def sequence(self) -> int:
        """Its number; later sets of the same directory have higher ones."""
        return self._native.sequence

    @property
    def total_bytes(self) -> int:
        """Bytes of all images and the files saved with them."""
        return self._native.total_bytes

    @property
    def images(self) -> list[Path]:
        """Paths of the images."""
        return self._native.images

    @property
    def manifest(self) -> Mapping[str, Any]:
        """All that the set says of itself, as in its ``manifest.json`` (``docs/SETS.md``)."""
        return self._native.manifest

    @property
    def created(self) -> datetime:
        """When it was sealed."""
        return moment(self.manifest["created_unix_ms"] / 1000)

    def verify(self, *, sizes_only: bool = False) -> None:
        """Reads every file and compares it with its checksum.

        Raises:
            SetError: Names the file that is missing, cut or changed.
        """
        self._native.verify(sizes_only)

    def incompatibility(self) -> Optional[str]:
        """What of this host keeps the set from being restored here; ``None``: nothing known."""
        return self._native.incompatibility()

    def pack(self, archive: StrPath) -> int:
        """Makes one file of the set, and says how many bytes that has.

        Raises:
            SetError: The set is not as it was sealed, or the file cannot be written.
        """
        return self._native.pack(archive)

    def stage_into(self, directory: StrPath) -> list[Path]:
        """Puts the images into a directory in which a restarted computation may write.

        Raises:
            SetError: They cannot be put there.
        """
        return self._native.stage_into(directory)

    def __repr__(self) -> str:
        return f"<CheckpointSet {self.sequence} {os.fspath(self.directory)!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CheckpointSet):
            return NotImplemented
        return self.directory == other.directory and self.manifest == other.manifest

    def __hash__(self) -> int:
        return hash(self.directory)

    def _repr_html_(self) -> str:
        return CheckpointSets([self])._repr_html_()


class CheckpointSets(_html.Table[CheckpointSet]):
    """Sets, newest first; a table in notebooks.

    Attributes:
        broken: The directories of sets whose manifest cannot be read, and why.
    """

    broken: list[tuple[Path, str]]

    _heads = ("set", "sealed", "generation", "images", "bytes", "programs")

    @classmethod
    def _listed(
        cls, answer: tuple[list[_native.CheckpointSet], list[tuple[Path, str]]]
    ) -> CheckpointSets:
        this = cls(CheckpointSet._of(native) for native in answer[0])
        this.broken = answer[1]
        return this

    def _row(self, one: CheckpointSet) -> Sequence[object]:
        manifest = one.manifest
        programs = sorted({str(image["program"]) for image in manifest["images"]})
        return (
            one.sequence,
            one.created.isoformat(" ", "seconds"),
            manifest["computation"]["generation"],
            len(manifest["images"]),
            one.total_bytes,
            ", ".join(programs),
        )


@dataclass(frozen=True)
class Retained:
    """What became of each set, or would: ``sequence``, ``bytes`` and ``why`` of each."""

    kept: Sequence[Mapping[str, Any]]
    removed: Sequence[Mapping[str, Any]]

    @property
    def removed_bytes(self) -> int:
        """Bytes of the sets that are removed."""
        return sum(int(one["bytes"]) for one in self.removed)


class SetStore:
    """The sets in one directory, and the right to change them: one store at a time, in whatever process.

    To only look, there is :meth:`peek`. A context manager, which gives the directory free at its end.
    """

    def __init__(self, directory: StrPath) -> None:
        """Opens the sets in a state directory, which is made if it is not there.

        Raises:
            SetError: ``owned``: somebody else has it.
        """
        keep_locks_from_children(directory)
        self._native = _native.SetStore.open(directory)

    @classmethod
    def open(cls, directory: StrPath) -> SetStore:
        """The same as the constructor."""
        return cls(directory)

    @staticmethod
    def peek(directory: StrPath) -> CheckpointSets:
        """Lists the sets of a state directory without owning it, newest first.

        Raises:
            SetError: The directory cannot be read.
        """
        return CheckpointSets._listed(_native.list_sets(directory))

    @property
    def directory(self) -> Path:
        """The directory that holds the sets."""
        return self._native.directory

    def list(self) -> CheckpointSets:
        """All sets, newest first.

        Raises:
            SetError: The directory cannot be read.
        """
        return CheckpointSets._listed(self._native.list())

    def newest_verified(self, *, before: Optional[int] = None) -> Optional[CheckpointSet]:
        """The newest set whose every byte is as it was sealed; ``None``: no set is good.

        Args:
            before: Only sets with a lower number.

        Raises:
            SetError: The directory cannot be read.
        """
        native, _refused = self._native.newest_verified(before)
        return None if native is None else CheckpointSet._of(native)

    def retain(
        self,
        *,
        last: Optional[int] = None,
        every: Optional[int] = None,
        younger_than: Optional[Seconds] = None,
        max_bytes: Optional[int] = None,
        dry_run: bool = False,
    ) -> Retained:
        """Removes old sets; never the newest good one, nor one in use.

        The rules add up: a set stays if one of them keeps it.

        Args:
            last: Keeps the newest of this number.
            every: Keeps those whose number is a multiple.
            younger_than: Keeps those that were sealed less than this ago.
            max_bytes: Removes the oldest until those that stay have no more.
            dry_run: Only says what would become of them.

        Raises:
            SetError: A directory cannot be read or removed.
        """
        rules = (last, every, seconds(younger_than), max_bytes)
        if dry_run:
            return Retained(**_native.would_retain(self.directory.parent, *rules))
        return Retained(**self._native.retain(*rules))

    def prune(self, keep: int) -> Retained:
        """Keeps the newest ``keep`` whole sets."""
        return self.retain(last=keep)

    def sweep(self) -> Sequence[Path]:
        """Removes what crashed attempts to seal or to prune have left, and says what."""
        removed: Sequence[Path] = self._native.sweep()
        return removed

    def unpack(self, archive: StrPath) -> CheckpointSet:
        """Makes the newest set of an archive that :meth:`CheckpointSet.pack` wrote.

        A restart runs what is in its images: unpack what you would also run.

        Raises:
            SetError: It is no such archive, or not whole.
        """
        return CheckpointSet._of(self._native.unpack(archive))

    def close(self) -> None:
        """Gives the directory free."""
        self._native.close()

    def __enter__(self) -> SetStore:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SetStore {os.fspath(self.directory)!r}>"


@dataclass(frozen=True)
class Inspection:
    """What an image says, read without restoring it.

    Attributes:
        facts: All of it, as ``dmtcpctl inspect --json`` has it (``docs/IMAGE.md``).
        fault: Why the image is not whole; ``None``: it is.
        fault_slug: Its name.
    """

    facts: Mapping[str, Any]
    fault: Optional[str]
    fault_slug: Optional[str]

    @property
    def whole(self) -> bool:
        """Whether the image is whole."""
        return self.fault is None

    def _repr_html_(self) -> str:
        simple = (
            (name, value)
            for name, value in self.facts.items()
            if isinstance(value, (str, int, float, bool))
        )
        return _html.facts([("whole", self.fault or "yes"), *simple])


def inspect(image: StrPath) -> Inspection:
    """Reads what a checkpoint image of any release says, and whether it is whole.

    Raises:
        SetError: It is no image, or ends in its header.
    """
    facts, fault = _native.inspect(image)
    slug, text = fault or (None, None)
    return Inspection(facts, text, slug)
