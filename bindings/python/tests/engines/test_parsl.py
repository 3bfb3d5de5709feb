"""Under a real Parsl, with examples/engines/parsl_apps.py."""

import sys

import pytest
from stage import ROOT

parsl = pytest.importorskip("parsl")


def test_an_app_whose_worker_was_killed_goes_on_when_parsl_retries(stage):
    options = ["--native"] if stage.native else []
    command = [sys.executable, ROOT / "examples/engines/parsl_apps.py", *options, "--interval", "1"]
    with stage.engine(*command, stage.case, stage.result, *stage.program) as engine:
        stage.wait_half(engine)
        stage.wait_set(engine)
        stage.kill_owner()
        stage.wait_half(engine)
        stage.let_go()
        stage.wait_end(engine)
    assert "exit code 0, behind 1 failure(s)" in stage.printed(), stage.explain()
    [log] = stage.folder.glob("runinfo/**/task_logs/**/*.stdout")
    assert "the end" in log.read_text()
    stage.assert_right()
    stage.assert_removed()
