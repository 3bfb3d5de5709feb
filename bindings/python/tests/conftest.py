"""What the tests share: small programs that are workers by themselves, and how they are run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest

import dmtcp

PROGRAMS = Path(__file__).parent / "programs"

# Generous: the machine may be busy, and nothing waits for it in vain.
LIMIT = 120

StartWorker = Callable[..., "subprocess.Popen[str]"]


def program(name: str, *arguments: object) -> list[str]:
    """The command line of a program of these tests."""
    return [sys.executable, str(PROGRAMS / f"{name}.py"), *map(str, arguments)]


@pytest.fixture(autouse=True)
def no_coordinator_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests name theirs."""
    for name in list(os.environ):
        if name.startswith(("DMTCP_COORD_", "DMTCP_RS_")):
            monkeypatch.delenv(name)


@pytest.fixture
def computation(tmp_path: Path) -> Iterator[dmtcp.Computation]:
    """One whose checkpoints become sets."""
    with dmtcp.Server() as server, server.open(sets=tmp_path / "state") as one:
        yield one


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Starts a program as a worker of a computation; what runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(computation: dmtcp.Computation, *command: object) -> subprocess.Popen[str]:
        environment = {**os.environ, **computation.environment(tmp_path / "images")}
        words = program(*map(str, command))
        child = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()
