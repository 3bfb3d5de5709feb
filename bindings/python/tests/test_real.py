"""Real DMTCP, of every release that DMTCP_BIN names: a colon-separated list of folders.

Without it nothing of this runs, which is said.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator

import pytest

import dmtcp
from conftest import LIMIT

FOLDERS = [Path(name) for name in os.environ.get("DMTCP_BIN", "").split(":") if name]

COUNT = """
import sys, time
for number in range(int(sys.argv[1])):
    print(number, flush=True)
    time.sleep(0.05)
"""
# An interpreter that is no link into somebody's environment.
PYTHON = os.path.realpath(sys.executable)


@pytest.fixture(params=FOLDERS or [None], ids=lambda folder: folder and folder.parent.name)
def tools(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dmtcp.Tools:
    if request.param is None:
        print("SKIPPED: no DMTCP")
        pytest.skip("no DMTCP: DMTCP_BIN names none")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("DMTCP_TMPDIR", str(tmp_path / "tmp"))
    return dmtcp.Tools(request.param)


def until_it_counts(log: Path) -> None:
    deadline = time.monotonic() + LIMIT
    while not log.exists() or len(log.read_text().splitlines()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_goes_on_from_its_set(tools: dmtcp.Tools, tmp_path: Path) -> None:
    state = tmp_path / "state"
    command = [PYTHON, "-S", "-c", COUNT, "100"]
    job = dmtcp.Job(state, command, tools=tools, interval=None, gzip=False)
    with job.start() as running:
        until_it_counts(state / "application.log")
        one = running.checkpoint(LIMIT)
        assert one.manifest["dmtcp"] in tools.version()
        running.checkpoint_and_stop(LIMIT)
        assert running.wait(LIMIT).kind == "checkpointed"
    outcome = job.run()
    assert (outcome.kind, outcome.code) == ("finished", 0), outcome
    # Warnings of dmtcp_restart, for root, stand between.
    lines = (state / "application.log").read_text().splitlines()
    numbers = [int(line) for line in lines if line.isdecimal()]
    # What was written behind the last checkpoint may be there twice; nothing is left out.
    assert sorted(set(numbers)) == list(range(100)) and numbers[-1] == 99


@pytest.fixture
def stock(tools: dmtcp.Tools, tmp_path: Path) -> Iterator[int]:
    """The port of a stock coordinator."""
    port_file = tmp_path / "port"
    words = [tools.directory / "dmtcp_coordinator", "--port", "0", "--port-file", port_file, "-q"]
    child = subprocess.Popen(
        list(map(str, words)), cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + LIMIT
    while not port_file.exists() or not port_file.read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield int(port_file.read_text())
    child.kill()
    child.wait()


def test_a_stock_coordinator_is_asked_and_its_images_become_a_set(
    tools: dmtcp.Tools, stock: int, tmp_path: Path
) -> None:
    coordinator = dmtcp.Coordinator.detect(stock)
    assert coordinator.status().peers == 0
    log = tmp_path / "log"
    launch = dmtcp.Launch(
        [PYTHON, "-S", "-c", COUNT, "100000"],
        coordinator=coordinator,
        tools=tools,
        cwd=tmp_path,
        gzip=False,
        stdout=log,
    )
    child = launch.spawn()
    until_it_counts(log)
    with dmtcp.SetStore(tmp_path / "state") as store:
        one = dmtcp.ForeignSets(coordinator, store).checkpoint_and_kill(LIMIT)
    one.verify()
    assert child.wait(LIMIT).returncode == 0
    assert dmtcp.inspect(one.images[0]).whole
    with dmtcp.Server() as server, server.open() as computation:
        staged = one.stage_into(tmp_path / "staged")
        restart = dmtcp.Restart(staged, coordinator=computation, tools=tools, stdout=log)
        with restart.spawn() as again:
            computation.wait_until_running(1, LIMIT)
            assert again.poll() is None
            again.kill()
            assert again.wait(LIMIT).signal == 9
