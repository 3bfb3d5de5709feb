"""What is in the wheel: the command line, the helper process, types that hold."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

import dmtcp
import dmtcp.aio
from conftest import LIMIT

HERE = Path(__file__).parent
MODULES = ["dmtcp", "dmtcp.aio"]


def test_the_command_line_is_in_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DMTCPCTL", raising=False)
    program = dmtcp.dmtcpctl_path()
    assert program.parent.samefile(Path(sys.executable).parent)
    shown = subprocess.check_output([program, "--version"], text=True, timeout=LIMIT)
    assert shown == f"dmtcpctl {dmtcp.__version__}\n"
    assert metadata.version("dmtcp") == dmtcp.__version__
    assert dmtcp.run_cli(["completions", "bash"]) == 0
    assert dmtcp.run_cli(["no-such-subcommand"]) == 2
    monkeypatch.setenv("DMTCPCTL", str(tmp_path / "other"))
    assert dmtcp.dmtcpctl_path() == tmp_path / "other"
    with pytest.raises(dmtcp.ToolError) as raised:
        dmtcp.HelperCoordinator.start()
    assert raised.value.slug == "no-dmtcpctl"


def test_a_helper_outlives_who_started_it(tmp_path: Path) -> None:
    code = """
import json, dmtcp
helper = dmtcp.HelperCoordinator.start(stale_timeout=600)
print(json.dumps([helper.address, helper.pid]))
"""
    words = [sys.executable, "-c", code]
    said = subprocess.check_output(words, cwd=tmp_path, text=True, timeout=LIMIT)
    address, pid = json.loads(said)
    os.kill(pid, 0)
    coordinator = dmtcp.Coordinator(tuple(address))
    assert coordinator.status().peers == 0
    coordinator.quit()
    with pytest.raises(dmtcp.ConnectError):
        coordinator.status()


def test_a_helper_says_whether_it_runs(tmp_path: Path) -> None:
    helper = dmtcp.HelperCoordinator.start(stale_timeout=600, checkpoint_dir=tmp_path)
    try:
        assert helper.is_running
        # Another has its number.
        other = pickle.loads(pickle.dumps(helper))
        assert other.is_running
        other.pid = os.getpid()
        assert not other.is_running
    finally:
        helper.quit()
    until = time.monotonic() + LIMIT
    while helper.is_running and time.monotonic() < until:
        time.sleep(0.01)  # it stops listening before it ends
    assert not helper.is_running

    async def awaited() -> tuple[bool, bool]:
        helper = await dmtcp.aio.HelperCoordinator.start(checkpoint_dir=tmp_path)
        ran = helper.is_running
        os.kill(helper.pid, signal.SIGKILL)
        until = time.monotonic() + LIMIT
        while helper.is_running and time.monotonic() < until:
            await asyncio.sleep(0.01)
        return ran, helper.is_running

    assert asyncio.run(awaited()) == (True, False)


def test_types_hold() -> None:
    run = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    # Engines that are integrated with need not be installed.
    absent = ["--ignore-missing-imports", "--allow-subclassing-any"]
    subprocess.run([*run, *absent, "-p", "dmtcp"], cwd=HERE, check=True, timeout=LIMIT)
    subprocess.run([*run, "typed_use.py"], cwd=HERE, check=True, timeout=LIMIT)
    stubs = [sys.executable, "-m", "mypy.stubtest", "dmtcp._native"]
    subprocess.run(stubs, cwd=HERE, check=True, timeout=LIMIT)


def test_wrong_use_is_seen_by_types() -> None:
    run = [sys.executable, "-m", "mypy", "--strict", "wrong_use.py"]
    ran = subprocess.run(run, cwd=HERE, capture_output=True, text=True, timeout=LIMIT)
    errors = [line for line in ran.stdout.splitlines() if ": error: " in line]
    wrong = (HERE / "wrong_use.py").read_text().count("# wrong")
    assert len(errors) == wrong > 3, ran.stdout


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_is_documented(module: str) -> None:
    loaded = importlib.import_module(module)
    bare = []
    for name in loaded.__all__:
        value = getattr(loaded, name)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        if not inspect.getdoc(value):
            bare.append(name)
        if inspect.isclass(value) and value.__module__.startswith("dmtcp"):
            for member, method in vars(value).items():
                if member.startswith("_"):
                    continue
                plain = getattr(method, "__func__", method)
                is_method = inspect.isfunction(plain) or isinstance(plain, property)
                if is_method and not inspect.getdoc(plain):
                    bare.append(f"{name}.{member}")
    assert bare == []


def test_another_interpreter_of_the_process_is_refused() -> None:
    """Its callbacks would run in the first one."""
    code = """
import dmtcp
try:
    import _xxsubinterpreters as interpreters
except ImportError:
    import _interpreters as interpreters
other = interpreters.create()
try:
    failed = interpreters.run_string(other, "import dmtcp")
except interpreters.RunFailedError as error:
    failed = error
assert failed is not None and "interpreter" in str(failed), failed
interpreters.destroy(other)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=LIMIT)
