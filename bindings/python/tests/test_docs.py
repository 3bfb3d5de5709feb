"""The programs of `docs/languages/python.md`, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

import dmtcp
from conftest import LIMIT

PAGE = Path(__file__).parents[3] / "docs" / "languages" / "python.md"
TASKS = [
    "Ask a coordinator",
    "Take a checkpoint",
    "Run a job",
    "Embed a coordinator",
    "Be a worker",
]


def programs() -> dict[str, list[str]]:
    parts = re.split(r"^## (.*)$", PAGE.read_text(), flags=re.M)
    return {
        head: re.findall(r"^```python\n(.*?)^```$", text, flags=re.M | re.S)
        for head, text in zip(parts[1::2], parts[2::2])
    }


@pytest.fixture
def scripts(tmp_path: Path) -> dict[str, Path]:
    """The first program of each task, in a file."""
    files = {}
    for head, texts in programs().items():
        file = tmp_path / (head.replace(" ", "_") + ".py")
        file.write_text(texts[0])
        files[head] = file
    return files


def run(script: Path, *words: object) -> str:
    command = [sys.executable, str(script), *map(str, words)]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT, cwd=script.parent
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


@pytest.fixture
def running(scripts: dict[str, Path], tmp_path: Path) -> Iterator[dmtcp.Computation]:
    """A computation in which the worker of the page runs."""
    with dmtcp.Server() as server, server.open() as computation:
        environment = {**os.environ, **computation.environment(tmp_path / "images")}
        words = [sys.executable, scripts["Be a worker"], "1000000"]
        child = subprocess.Popen(words, env=environment)
        try:
            computation.wait_until_running(1, LIMIT)
            yield computation
        finally:
            child.kill()
            child.wait()


def test_the_page_has_the_five_tasks_in_order() -> None:
    assert [head for head in programs() if head in TASKS] == TASKS


def test_ask_a_coordinator(scripts: dict[str, Path], running: dmtcp.Computation) -> None:
    said = run(scripts["Ask a coordinator"], f"127.0.0.1:{running.port}")
    assert "1 processes, all running: True" in said and "RUNNING" in said


def test_take_a_checkpoint(
    scripts: dict[str, Path], running: dmtcp.Computation, tmp_path: Path
) -> None:
    said = run(scripts["Take a checkpoint"], f"127.0.0.1:{running.port}", tmp_path / "state")
    assert Path(said.strip()).parent == tmp_path / "state" / "sets" / "000001"


def test_run_a_job_that_is_a_worker(scripts: dict[str, Path], tmp_path: Path) -> None:
    words = ["--native", sys.executable, scripts["Be a worker"], "150"]
    said = run(scripts["Run a job"], tmp_path / "state", *words)
    assert "sum 11175" in said and "finished" in said


def test_embed_a_coordinator(scripts: dict[str, Path], tmp_path: Path) -> None:
    said = run(scripts["Embed a coordinator"], sys.executable, scripts["Be a worker"], 1000000)
    assert "listening on port" in said
    image = Path(said.split("image ")[1].strip())
    assert image.parent == tmp_path and dmtcp.inspect(image).whole


def test_everything_else_on_the_page_runs(tmp_path: Path) -> None:
    """Programs that need nothing: the further ones of each part."""
    others = [
        text
        for head, texts in programs().items()
        for text in (texts[1:] if head in TASKS else texts)
    ]
    assert others
    for number, text in enumerate(others):
        file = tmp_path / f"other_{number}.py"
        file.write_text(text)
        subprocess.run([sys.executable, file], cwd=tmp_path, check=True, timeout=LIMIT)
