"""The program ``dmtcpctl`` that this package brings along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Iterator, Sequence

from ._errors import ToolError
from .tools import StrPath


def dmtcpctl_path() -> Path:
    """Where ``dmtcpctl`` is: the one that the variable ``DMTCPCTL`` names, else the one that was
    installed with this package, else one in ``PATH``.

    Raises:
        ToolError: There is none.
    """
    named = os.environ.get("DMTCPCTL")
    if named:
        return Path(named)
    looked = []
    for path in _places():
        if os.access(path, os.X_OK) and path.is_file():
            return path
        looked.append(str(path))
    text = f"there is no dmtcpctl: it is neither in PATH nor at {' or '.join(looked)}"
    raise ToolError(f"{text}; install the package from its wheel", "no-dmtcpctl", "environment")


def _places() -> Iterator[Path]:
    try:
        files = metadata.files("dmtcp") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "dmtcpctl":
            yield Path(str(file.locate())).resolve()
    yield Path(sysconfig.get_path("scripts")) / "dmtcpctl"
    found = shutil.which("dmtcpctl")
    if found is not None:
        yield Path(found)


def run_cli(arguments: Sequence[StrPath] | None = None) -> int:
    """Runs ``dmtcpctl`` with these arguments, or those of this process, and gives its exit code, or,
    as :mod:`subprocess` does, the number of the signal that ended it, negative.

    Raises:
        ToolError: There is none.
    """
    words = sys.argv[1:] if arguments is None else arguments
    return subprocess.run([dmtcpctl_path(), *words], check=False).returncode
