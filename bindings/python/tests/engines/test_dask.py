"""Under a real Dask, with examples/engines/dask_tasks.py."""

import sys

import pytest
from stage import ROOT

distributed = pytest.importorskip("distributed")


def test_a_task_whose_worker_was_killed_goes_on_on_another_one(stage):
    options = ["--native"] if stage.native else []
    command = [sys.executable, ROOT / "examples/engines/dask_tasks.py", *options, "--interval", "1"]
    with stage.engine(*command, *stage.program, stage.case, stage.result) as engine:
        stage.wait_half(engine)
        stage.wait_set(engine)
        stage.kill_owner()
        stage.wait_half(engine)
        stage.let_go()
        stage.wait_end(engine)
    assert "it went on from set " in stage.printed(), stage.explain()
    assert "it went on from set None" not in stage.printed(), stage.explain()
    stage.assert_right()
    stage.assert_removed()
