"""Under a real Snakemake, with the files of examples/engines/snakemake."""

import json
import os
import shlex
import shutil
import signal
import sys

import pytest
from stage import ROOT, eventually

pytest.importorskip("snakemake")


def lay_out(stage):
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / "examples/engines/snakemake" / name, stage.folder / name)
    (stage.folder / "cases").mkdir()
    (stage.folder / "cases/a.txt").write_text("a\n")


def snakemake(stage, *options):
    return stage.engine(
        sys.executable, "-m", "snakemake", "--cores", "1", "--nocolor", *options,
        "--config", f"program={shlex.join(stage.program)}", "interval=1", f"native={stage.native}",
    )  # fmt: skip


def interrupt(stage):
    """Ctrl-C in the middle."""
    with snakemake(stage) as engine:
        stage.wait_half(engine)
        os.killpg(engine.pid, signal.SIGINT)
        eventually("the end of Snakemake", lambda: engine.poll() is not None, explain=stage.explain)
        assert engine.poll() != 0


def test_a_rule_that_was_killed_goes_on_when_it_is_tried_again(stage):
    lay_out(stage)
    with snakemake(stage) as engine:
        stage.wait_half(engine)
        stage.wait_set(engine)
        stage.kill_owner()
        stage.wait_half(engine)
        stage.let_go()
        stage.wait_end(engine)
    assert "Trying to restart job" in stage.printed()
    assert "restarted from set" in (stage.folder / "logs/a.runs.log").read_text()
    assert "the end" in (stage.folder / "logs/a.log").read_text()
    stage.assert_right(stage.folder / "results/a.txt")
    stage.assert_removed()


def test_a_run_that_is_stopped_takes_a_set_and_the_next_one_goes_on(stage):
    lay_out(stage)
    interrupt(stage)
    outcome = json.loads((stage.state() / "outcome.json").read_text())
    assert outcome["slug"] == "checkpointed", stage.explain()
    stage.let_go()
    with snakemake(stage) as engine:
        stage.wait_end(engine)
    stage.assert_right(stage.folder / "results/a.txt")
    stage.assert_removed()


def test_changed_inputs_begin_afresh_and_what_was_there_goes_away(stage):
    lay_out(stage)
    interrupt(stage)
    (stage.folder / "cases/a.txt").write_text("another\n")
    stage.let_go()
    with snakemake(stage) as engine:
        stage.wait_end(engine)
    assert stage.starts() == 2, stage.explain()
    assert "its parameters or files are others" in stage.printed()
    stage.assert_removed()
