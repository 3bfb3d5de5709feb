"""What a job of Snakemake does with its command and its files, without Snakemake."""

from types import SimpleNamespace

import pytest
from dmtcp.integrations import TaskFailed, snakemake
from stage import Stage


class Names(dict):
    """As Snakemake's lists: names beside a sequence."""

    def __iter__(self):
        return iter(self.values())


def job(stage, **more):
    lists = {
        "wildcards": Names(case="a"),
        "input": Names(case=str(stage.case)),
        "output": Names(result=str(stage.result)),
        "params": Names(),
        "log": Names(),
    }
    return SimpleNamespace(rule="simulate", **{**lists, **more})


@pytest.fixture
def native(tmp_path):
    return Stage(tmp_path, "native")


@pytest.mark.parametrize(
    "given, expected",
    [
        ("out/a.txt", "/w/0/a.txt"),
        ("--to=out/a.txt", "--to=/w/0/a.txt"),
        ("sim > out/a.txt.gz && gzip 'out/a.txt'", "sim > /w/1/a.txt.gz && gzip '/w/0/a.txt'"),
        ("about/a.txt out/a.txt.old ./out/a.txt", "about/a.txt out/a.txt.old ./out/a.txt"),
        ("nothing", "nothing"),
    ],
)
def test_outputs_that_a_command_names_are_put_elsewhere(given, expected):
    parts = {"out/a.txt": "/w/0/a.txt", "out/a.txt.gz": "/w/1/a.txt.gz"}
    assert snakemake._with_parts(given, parts) == expected


def test_results_are_moved_to_the_outputs_at_the_end(native):
    native.let_go()
    log, runs = native.folder / "log", native.folder / "runs"
    lists = {"log": Names(a=str(log), b=str(runs))}
    report = snakemake.run(job(native, **lists), [*native.program, str(native.result)], **native.options)
    assert report.succeeded and report.resumed_from is None
    assert "the end" in log.read_text() and "started afresh" in runs.read_text()
    native.assert_right()
    native.assert_removed()


def test_a_job_that_had_finished_before_it_could_say_so_is_not_run_again(native, monkeypatch):
    native.let_go()
    command = [*native.program, str(native.result)]

    def lost(*_):
        raise ConnectionError("the node is gone")

    with monkeypatch.context() as patch, pytest.raises(ConnectionError):
        patch.setattr(snakemake.shutil, "move", lost)
        snakemake.run(job(native), command, **native.options)
    report = snakemake.run(job(native), command, **native.options)
    assert report.reason == "finished-before"
    native.assert_right()
    native.assert_removed()


def test_parameters_are_part_of_a_job_and_how_it_is_run_is_not(native):
    def place_of(params):
        with pytest.raises(TaskFailed):
            snakemake.run(job(native, params=Names(params)), ["false"], **native.options)
        return {path.parent for path in native.root.glob("**/state")}

    first = place_of({"steps": 1, "interval": 1})
    assert place_of({"steps": 1, "interval": 2}) == first
    assert len(place_of({"steps": 2, "interval": 2})) == 2


def test_what_is_not_of_the_job_stays(native):
    """Other wildcards of the rule, and what they have done so far."""
    with pytest.raises(TaskFailed):
        snakemake.run(job(native, wildcards=Names(case="b")), ["false"], **native.options)
    other = native.state().parents[1]
    native.let_go()
    snakemake.run(job(native), [*native.program, str(native.result)], **native.options)
    native.assert_right()
    assert list(other.glob("*/state/job.json"))
