"""Under a real Dask, with examples/engines/dask_tasks.py."""

import os
import sys
from pathlib import Path

import functions
import pytest
import series
from stage import LONG, ROOT

distributed = pytest.importorskip("distributed")

from dmtcp.integrations.dask import CheckpointOnClose, checkpointed, checkpointed_command

HERE = Path(__file__).parent


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


@pytest.fixture
def client(stage, monkeypatch):
    monkeypatch.chdir(stage.folder)
    path = [str(HERE), *os.environ.get("PYTHONPATH", "").split(":")]
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, path)))
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0")
    with cluster, distributed.Client(cluster) as client:
        yield client


def test_a_function_whose_worker_was_killed_goes_on_and_returns_its_value(stage, client):
    function = functions.native_sum if stage.native else functions.plain_sum
    future = client.submit(checkpointed(function, **stage.options), str(stage.folder))
    assert future.key.startswith(function.__name__)
    stage.wait_half()
    stage.wait_set()
    stage.kill_owner()
    stage.wait_half()
    stage.let_go()
    assert future.result(LONG) == series.expected(), stage.explain()
    assert stage.starts() == 1, stage.explain()
    stage.assert_removed()


def test_a_worker_that_is_closed_has_its_task_checkpointed_first(stage, client):
    client.register_plugin(CheckpointOnClose())
    run = checkpointed_command("simulate", **{**stage.options, "interval": None})
    future = client.submit(run, [*stage.program, str(stage.result)], retries=3)
    stage.wait_half()
    client.restart_workers(list(client.scheduler_info()["workers"]), raise_for_error=False)
    stage.wait_half()
    stage.let_go()
    report = future.result(LONG)
    assert report.resumed_from == 1, stage.explain()
    stage.assert_right()


def test_an_exception_of_the_function_is_the_tasks(stage, client):
    if not stage.native:
        pytest.skip("once is enough")
    stage.let_go()
    future = client.submit(checkpointed(functions.fails, **stage.options), str(stage.folder))
    with pytest.raises(LookupError, match="nothing there"):
        future.result(LONG)
