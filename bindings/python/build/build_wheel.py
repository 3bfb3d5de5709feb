"""Builds the wheel: maturin, behind the program `dmtcpctl` that goes into it.

maturin makes a wheel of an extension module or of a program, not of both. So the program is built here,
by the same cargo with the same profile, and put where `pyproject.toml` says that data of the wheel are.
`DMTCP_WHEEL_PROFILE` is the profile: `release` unless it says `dev`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import maturin

WORKSPACE = Path(__file__).resolve().parents[3]
DATA = WORKSPACE / "target" / "wheel-data"
PROFILE = os.environ.get("DMTCP_WHEEL_PROFILE", "release")


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    return list(maturin.get_requires_for_build_wheel(config_settings))


def prepare_metadata_for_build_wheel(directory: str, config_settings: Any = None) -> str:
    DATA.mkdir(parents=True, exist_ok=True)
    return str(maturin.prepare_metadata_for_build_wheel(directory, settings(config_settings)))


def build_wheel(directory: str, config_settings: Any = None, metadata: Any = None) -> str:
    hide_paths()
    put_program()
    return str(maturin.build_wheel(directory, settings(config_settings), metadata))


def hide_paths() -> None:
    """The program and the module hold paths of sources, for messages. Those of this machine are nobody's
    business; where the tests of the workspace are to be used again, its flags have to be theirs."""
    if PROFILE == "dev":
        return
    flags = os.environ.get("CARGO_ENCODED_RUSTFLAGS", "").split("\x1f")
    if flags == [""]:
        flags = os.environ.get("RUSTFLAGS", "").split()
    home = os.environ.get("CARGO_HOME", Path.home() / ".cargo")
    flags += [f"--remap-path-prefix={home}=/cargo", f"--remap-path-prefix={WORKSPACE}=/dmtcp-rs"]
    os.environ["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(flags)


def settings(given: Any) -> dict[str, Any]:
    return {"build-args": f"--profile {PROFILE}", **(given or {})}


def put_program() -> None:
    cargo = ["cargo", "build", "--locked", "--profile", PROFILE, "-p", "dmtcp-client"]
    subprocess.run([*cargo, "--features", "cli", "--bin", "dmtcpctl"], cwd=WORKSPACE, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", WORKSPACE / "target"))
    built = WORKSPACE / target / ("debug" if PROFILE == "dev" else PROFILE) / "dmtcpctl"
    scripts = DATA / "scripts"
    scripts.mkdir(parents=True, exist_ok=True)
    program = scripts / "dmtcpctl"
    shutil.copy2(built, program)
    if shutil.which("strip"):
        # Names for a debugger are three quarters of it.
        subprocess.run(["strip", "--strip-debug", program], check=True)
