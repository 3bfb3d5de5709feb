"""What all integrations have in common, without an engine."""

import functools
import json
import os
import pickle
import signal
import subprocess
import sys
import threading

import dmtcp
import pytest
from dmtcp.integrations import Report, Settings, TaskFailed, TaskInterrupted, stop_all
from dmtcp.integrations import _call
from dmtcp.integrations._place import Place, fingerprints, program_files
from dmtcp.integrations._task import Try, argv_of, settle
from stage import LONG

REPORT = Report("simulate", "checkpointed", "requested", 85, "text", "hint", "/state", 3, "said")


def place(settings, **identity):
    return Place.of(settings, ["simulate"], identity)


def test_no_engine_is_imported_by_the_package():
    engines = {"snakemake", "parsl", "submitit", "distributed", "dask"}
    code = f"import sys, dmtcp, dmtcp.integrations; print(sorted({engines!r} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_errors_and_reports_pass_from_process_to_process():
    for kind in (TaskInterrupted, TaskFailed):
        error = pickle.loads(pickle.dumps(kind(REPORT)))
        assert type(error) is kind and error.report == REPORT
        assert all(part in str(error) for part in ("from set 3", "text", "hint", "/state", "said"))


def test_other_parameters_have_another_place(tmp_path):
    settings = Settings(state_root=str(tmp_path))
    one = place(settings, command=["a"])
    assert place(settings, command=["a"]) == one
    others = [
        place(settings, command=["b"]),
        place(Settings(state_root=str(tmp_path), cwd="/"), command=["a"]),
        place(Settings(state_root=str(tmp_path), native=True), command=["a"]),
    ]
    assert len({one, *others}) == 4
    # How it is run does not make another task of it.
    assert place(Settings(state_root=str(tmp_path), interval=5, grace=1), command=["a"]) == one


def test_names_that_look_alike_have_other_places(tmp_path):
    settings = Settings(state_root=str(tmp_path))
    names = [["a/b"], ["a-b"], ["a", "b"], ["a b"], ["../x"], [""], ["x" * 300], ["x" * 301]]
    places = {Place.of(settings, name, {}).folder for name in names}
    assert len(places) == len(names)
    assert all(tmp_path in folder.parents and ".." not in folder.parts for folder in places)
    assert all(len(part) < 144 for folder in places for part in folder.parts)


def test_a_changed_file_is_another_identity(tmp_path):
    settings = Settings(cwd=str(tmp_path))
    (tmp_path / "input").write_text("one")
    before = fingerprints(["input", "missing"], settings)
    assert fingerprints(["input", "missing"], settings) == before
    (tmp_path / "input").write_text("other")
    assert fingerprints(["input", "missing"], settings) != before


def test_a_program_is_known_by_its_file_and_its_script(tmp_path):
    settings = Settings(cwd=str(tmp_path))
    for name in ("simulate", "model.py"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    simulate, model = str(tmp_path / "simulate"), str(tmp_path / "model.py")
    assert program_files(["./simulate", "model.py"], settings) == [os.path.join(str(tmp_path), "./simulate"), model]
    assert program_files([simulate, "--fast", "model.py"], settings) == [simulate, model]
    assert program_files("exec " + model, settings) == [model]
    assert program_files("it's not closed", settings) == []
    assert program_files([], settings) == []


def test_the_root_is_where_it_was_named_not_where_it_runs(tmp_path, monkeypatch):
    monkeypatch.delenv("DMTCP_STATE_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert settings.state_root == str(tmp_path / "dmtcp-state") and settings.cwd == str(tmp_path)
    monkeypatch.setenv("DMTCP_STATE_ROOT", "/elsewhere")
    assert Settings().state_root == "/elsewhere"


def test_a_wrong_setting_is_refused_at_once():
    with pytest.raises(TypeError, match="intervall"):
        Settings(intervall=3)


def attempt(stage, **more):
    settings = Settings(**{**stage.options, **more})
    where = place(settings, case="a")
    return Try("simulate", [*stage.program, str(stage.result)], where, settings)


def test_stop_all_leaves_a_set_from_which_the_next_try_goes_on(stage):
    first = attempt(stage, interval=None)
    raised = []

    def run():
        try:
            first.run()
        except TaskInterrupted as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    stage.wait_half()
    assert stop_all() == 1
    thread.join(LONG)
    assert raised and raised[0].report.kind == "checkpointed" and raised[0].report.resumed_from is None
    assert stop_all() == 0
    stage.let_go()
    second = attempt(stage)
    assert second.run().resumed_from == 1
    stage.assert_right()
    settle(second.place, second.settings)
    stage.assert_removed()


def test_a_signal_to_stop_is_a_last_set(stage):
    if not stage.native:
        pytest.skip("once is enough")
    first = attempt(stage, interval=None)
    first._stop_signals = (signal.SIGUSR1,)
    before = signal.getsignal(signal.SIGUSR1)

    def ask():
        stage.wait_half()
        os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=ask)
    thread.start()
    with pytest.raises(TaskInterrupted) as raised:
        first.run()
    thread.join()
    assert raised.value.report.kind == "checkpointed"
    assert signal.getsignal(signal.SIGUSR1) == before


def test_a_task_that_another_process_has_is_waited_for(stage):
    if not stage.native:
        pytest.skip("once is enough")
    settings = Settings(**stage.options)
    code = (
        "import sys, pickle; sys.path.insert(0, sys.argv[1])\n"
        "from dmtcp.integrations._task import Try\n"
        "Try(*pickle.load(sys.stdin.buffer)).run()\n"
    )
    first = attempt(stage)
    with subprocess.Popen([sys.executable, "-c", code, stage.folder], stdin=subprocess.PIPE) as holder:
        holder.stdin.write(pickle.dumps((first.name, first.argv, first.place, settings)))
        holder.stdin.close()
        stage.wait_half()
        with pytest.raises(TaskInterrupted) as raised:
            attempt(stage, held_timeout=0).run()
        assert raised.value.report.reason == "held"
        ended = []
        second = attempt(stage)
        thread = threading.Thread(target=lambda: ended.append(second.run()))
        thread.start()
        stage.let_go()
        thread.join(LONG)
        assert holder.wait(LONG) == 0
    # It finds that all is done.
    assert ended and ended[0].succeeded
    stage.assert_right()


def test_a_program_that_fails_says_what_it_said(stage):
    if not stage.native:
        pytest.skip("once is enough")
    settings = Settings(**stage.options)
    code = "import dmtcp; dmtcp.NativeWorker.join(); print('the reason', flush=True); exit(3)"
    with pytest.raises(TaskFailed) as raised:
        Try("fails", [sys.executable, "-c", code], place(settings, case="a"), settings).run()
    assert raised.value.report.code == 3 and "the reason" in str(raised.value)


def test_a_kept_state_is_not_gone_on_from(stage):
    if not stage.native:
        pytest.skip("once is enough")
    stage.let_go()
    for starts in (1, 2):
        task = attempt(stage, keep_state=True)
        task.run()
        settle(task.place, task.settings)
        assert stage.starts() == starts
        kept = [path for path in task.place.folder.parent.iterdir() if path.name.endswith(".finished")]
        assert len(kept) == 1 and not task.place.folder.exists()


def test_a_string_is_for_a_shell():
    assert argv_of("a | b") == ["/bin/bash", "-c", "a | b"]
    assert argv_of(["a", "b c"]) == ["a", "b c"]


class Simulation:
    def __init__(self, steps):
        self.steps = steps

    def __call__(self, case):
        return self.steps

    def run(self, case):
        return self.steps


def enclosed(steps):
    def simulate(case):
        return steps

    return simulate


def wrapped(steps):
    inner = enclosed(steps)

    def simulate(case):
        return inner(case)

    return simulate


def default(steps):
    def simulate(case, steps=steps):
        return steps

    return simulate


def partial(steps):
    return functools.partial(lambda case, steps: steps, steps=steps)


@pytest.mark.parametrize(
    "make", [enclosed, wrapped, default, partial, Simulation, lambda steps: Simulation(steps).run]
)
def test_a_function_is_known_by_what_it_was_made_with(make):
    assert _call._known_by(make(1)) == _call._known_by(make(1))
    assert _call._known_by(make(1)) != _call._known_by(make(2))
    # It is part of a name in JSON.
    assert json.loads(json.dumps(_call._known_by(make(1)))) == _call._known_by(make(1))


def test_a_function_that_names_itself_is_known():
    def simulate(case):
        return simulate(case - 1) if case else 0

    assert _call._known_by(simulate) == _call._known_by(simulate)


def square(worker, folder, case):
    worker.restore()
    with open(os.path.join(folder, "calls"), "a") as file:
        file.write("one\n")
    return case * case


def test_the_same_task_at_the_same_time_is_one_behind_the_other(stage):
    if not stage.native:
        pytest.skip("once is enough")
    settings = Settings(**stage.options)
    ended = []

    def call():
        try:
            ended.append(_call.run("square", square, (str(stage.folder), 7), {}, settings))
        except Exception as error:
            ended.append(error)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert ended == [49, 49, 49]
    assert (stage.folder / "calls").read_text() == "one\n" * 3
    stage.assert_removed()


def test_who_does_not_wait_for_the_same_task_may_try_again(tmp_path):
    settings = Settings(state_root=str(tmp_path), held_timeout=0)
    where = place(settings, case="a")
    (where.state / "sets").mkdir(parents=True)
    with where.held("simulate", settings):
        with pytest.raises(TaskInterrupted) as raised, where.held("simulate", settings):
            pass
        assert raised.value.report.reason == "held"
        where.forget_unless_held()
        assert where.state.exists()
    where.forget_unless_held()
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_is_not_of_other_parameters(tmp_path):
    settings = Settings(state_root=str(tmp_path))
    kept = place(settings, case="a")
    kept.state.mkdir(parents=True)
    kept.set_aside()
    assert place(settings, case="b").others() == []


def test_the_end_of_a_worker_is_no_exception_of_its_function(tmp_path):
    def told_to_exit():
        raise dmtcp.WorkerExit("killed", "killed", "peer", 0)

    with pytest.raises(dmtcp.WorkerExit):
        _call._answer(tmp_path, told_to_exit, (), {})
    assert list(tmp_path.iterdir()) == []
