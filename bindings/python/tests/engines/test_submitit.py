"""Under a real submitit: its local executor, and Slurm where the environment has one."""

import os
import signal
import sys

import pytest
import slurm
from stage import ROOT, eventually

pytest.importorskip("submitit")


def submission(stage, *more, **variables):
    options = ["--native"] if stage.native else []
    options += more or ["--cluster", "local", "--minutes", "30", "--interval", "1"]
    script = ROOT / "examples/engines/submitit_job.py"
    words = [*options, "jobs", *stage.program, stage.case, stage.result]
    return stage.engine(sys.executable, script, *words, **variables)


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


def test_a_job_at_the_time_limit_of_slurm_goes_on(stage):
    """Slurm sends its signal to each process of the step, the program included."""
    if slurm.missing():
        print(f"SKIPPED: no Slurm ({slurm.missing()})", file=sys.stderr)
        pytest.skip("no Slurm")
    options = ["--cluster", "slurm", "--minutes", "1", "--warning", "25"]
    with slurm.cluster() as variables, submission(stage, *options, **variables) as engine:
        stage.wait_half(engine)

        def requeued():
            return any(
                "Requeued job" in log.read_text(errors="replace")
                for log in stage.folder.glob("jobs/*.*")
                if log.is_file()
            )

        eventually("a job that is in the queue again", requeued, explain=stage.explain)
        stage.let_go()
        stage.wait_end(engine)
    assert "begun from set 1" in stage.printed(), stage.explain()
    stage.assert_right()
    stage.assert_removed()
