"""Under a real submitit: its local executor, and Slurm where the environment has one."""

import os
import signal
import sys

import pytest
from stage import ROOT

pytest.importorskip("submitit")


def submission(stage, *more):
    options = ["--native"] if stage.native else []
    options += ["--cluster", "local", "--minutes", "30", "--interval", "1"]
    script = ROOT / "examples/engines/submitit_job.py"
    return stage.engine(sys.executable, script, *options, "jobs", *stage.program, stage.case, stage.result, *more)


def test_a_job_that_is_preempted_goes_on(stage):
    with submission(stage) as engine:
        stage.wait_half(engine)
        os.kill(stage.owner(), signal.SIGUSR1)
        stage.wait_half(engine)
        stage.let_go()
        stage.wait_end(engine)
    assert "begun from set" in stage.printed(), stage.explain()
    stage.assert_right()
    stage.assert_removed()


def test_a_job_that_was_killed_and_is_submitted_again_goes_on(stage):
    with submission(stage) as engine:
        stage.wait_half(engine)
        stage.wait_set(engine)
        stage.kill_owner()
        # It has no retries for that.
        assert engine.wait(120) != 0
    stage.let_go()
    with submission(stage) as engine:
        stage.wait_end(engine)
    assert "begun from set" in stage.printed(), stage.explain()
    stage.assert_right()
    stage.assert_removed()
