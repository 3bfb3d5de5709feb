"""Under a real Parsl, with examples/engines/parsl_apps.py."""

import os
import shlex
import sys
from pathlib import Path

import functions
import pytest
import series
from stage import LONG, ROOT

parsl = pytest.importorskip("parsl")

from dmtcp.integrations import Report, TaskInterrupted
from dmtcp.integrations.parsl import checkpointed_bash_app, checkpointed_python_app, retry_handler

HERE = Path(__file__).parent


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


def config(stage, **more):
    executor = parsl.HighThroughputExecutor(max_workers_per_node=1, address="127.0.0.1", heartbeat_period=5)
    return parsl.Config(executors=[executor], run_dir=str(stage.folder / "runinfo"), **more)


@pytest.fixture
def workers(stage, monkeypatch):
    """The environment of workers that this process starts."""
    monkeypatch.chdir(stage.folder)
    path = [str(HERE), *os.environ.get("PYTHONPATH", "").split(":")]
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, path)))
    monkeypatch.setenv("PATH", stage.environment["PATH"])


def test_a_python_app_that_was_killed_goes_on_and_returns_its_value(stage, workers):
    function = functions.native_sum if stage.native else functions.plain_sum
    app = checkpointed_python_app(function, **stage.options)
    with parsl.load(config(stage, retries=2)):
        future = app(str(stage.folder))
        stage.wait_half()
        stage.wait_set()
        stage.kill_owner()
        stage.wait_half()
        stage.let_go()
        assert future.result(LONG) == series.expected(), stage.explain()
        assert future.task_record["fail_count"] == 1
    assert stage.starts() == 1, stage.explain()
    stage.assert_removed()


def test_a_walltime_that_is_over_leaves_a_set_to_go_on_from(stage, workers):
    @checkpointed_bash_app(**{**stage.options, "interval": None})
    def simulate(walltime):
        return shlex.join([*stage.program, str(stage.result)])

    def let_go(exception, _record):
        stage.let_go()
        seen.append(exception)
        return 1

    seen = []
    with parsl.load(config(stage, retries=2, retry_handler=let_go)):
        assert simulate(walltime=15).result(LONG) == 0, stage.explain()
    assert [type(error).__name__ for error in seen] == ["AppTimeout"], stage.explain()
    stage.assert_right()
    stage.assert_removed()


def test_a_program_that_fails_is_what_parsl_calls_that(stage, workers):
    if not stage.native:
        pytest.skip("once is enough")

    @checkpointed_bash_app(**stage.options)
    def fails():
        return f"exec {shlex.quote(sys.executable)} -c 'import dmtcp; dmtcp.NativeWorker.join(); exit(3)'"

    with parsl.load(config(stage)):
        error = fails().exception(LONG)
    assert type(error).__name__ == "BashExitFailure" and error.exitcode == 3, error


def test_only_a_try_that_left_a_new_set_is_free():
    def cost(kind):
        report = Report("a", kind, None, 0, "text", None, "state", None)
        return retry_handler(TaskInterrupted(report), None)

    assert [cost("checkpointed"), cost("try-again"), cost("killed-by-signal")] == [0, 1, 1]
    assert retry_handler(ValueError(), None) == 1
