"""Rules of Snakemake whose jobs go on where they were when they are tried again.

As a wrapper, which comes with this package::

    from dmtcp.integrations.snakemake import WRAPPER

    rule simulate:
        input: "cases/{case}.json"
        output: "results/{case}.txt"
        params:
            command=lambda wildcards, input, output: ["./simulate", str(input), str(output)],
        retries: 5
        wrapper: WRAPPER

or in a script (``script: "simulate.py"``)::

    from dmtcp.integrations.snakemake import run
    run(snakemake, ["./simulate", snakemake.input[0], snakemake.output[0]])

Snakemake removes the outputs of a job that failed before it tries again, and a program that had its file open when
it was checkpointed needs it to go on. So the program is given other paths: each place in the command where an output
is named gets the path of a file in the job's folder, and these are moved to the outputs at the end. Files that the
program names by itself have to be outside of the outputs.

A job is known by its rule, its wildcards, its command, its parameters and its inputs; where any of these was
changed, nothing goes on, and what was there of this rule and these wildcards is removed with the job's success. The
program's output goes to the first file of ``log:``, what was done about it to the second one.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._place import Command, Place, fingerprints, program_files
from ._report import Report, TaskError
from ._settings import Settings
from ._task import Try, settle

__all__ = ["WRAPPER", "run", "run_rule"]

#: For ``wrapper:`` in a rule. Its ``params`` are ``command`` and any of the
#: :class:`~dmtcp.integrations.Settings`.
WRAPPER = "file://" + str(Path(__file__).with_name("snakemake_wrapper"))

#: At these the job is checkpointed and stopped: what clusters send before they kill.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


def run(snakemake: Any, command: Command, **options: Any) -> Report:
    """Runs the command of a job, or goes on with it, and moves its results to the outputs of the rule.

    ``snakemake`` is the object that Snakemake gives to scripts. A list is run as it is, a string by bash with
    ``-euo pipefail``, as in ``shell:``. Options are the :class:`~dmtcp.integrations.Settings`. Raises
    :class:`~dmtcp.integrations.TaskInterrupted` or :class:`~dmtcp.integrations.TaskFailed`.
    """
    settings = Settings(**options)
    words = command if isinstance(command, str) else [os.fspath(word) for word in command]
    wildcards = {name: str(value) for name, value in snakemake.wildcards.items()}
    inputs = [str(path) for path in snakemake.input]
    params = {name: value for name, value in snakemake.params.items() if name not in Settings.names()}
    identity = {
        "command": words,
        "params": params,
        "files": fingerprints(program_files(words, settings) + inputs, settings),
    }
    values = ",".join(f"{name}={value}" for name, value in sorted(wildcards.items()))
    place = Place.of(settings, [snakemake.rule, values or "all"], identity)
    label = f"{snakemake.rule} ({values})" if values else str(snakemake.rule)
    with place.held(label, settings):
        return _run(snakemake, label, words, place, settings)


def _run(snakemake: Any, label: str, words: str | list[str], place: Place, settings: Settings) -> Report:
    # By its whole path: a program may change its directory, and other outputs may have the same name.
    outputs = [str(path) for path in snakemake.output]
    parts = {path: place.work / str(n) / os.path.basename(path) for n, path in enumerate(outputs)}
    for part in parts.values():
        part.parent.mkdir(parents=True, exist_ok=True)
    if place.has_finished() and not (parts and all(part.exists() for part in parts.values())):
        place.forget()
        for part in parts.values():
            part.parent.mkdir(parents=True, exist_ok=True)
    argv: list[str]
    if isinstance(words, str):
        argv = ["/bin/bash", "-euo", "pipefail", "-c", _with_parts(words, parts)]
    else:
        argv = [_with_parts(word, parts) for word in words]
    try:
        report = Try(label, argv, place, settings, stop_signals=STOP_SIGNALS, show_output=not snakemake.log).run()
    finally:
        for path, name in zip(snakemake.log, ("application.log", "execution.log")):
            if (place.state / name).exists():
                shutil.copyfile(place.state / name, path)
    for path, part in parts.items():
        # What it has not made is Snakemake's to complain of.
        if part.exists():
            shutil.move(str(part), path)
    superseded = place.others()
    settle(place, settings)
    for other in superseded:
        Place(other).forget_unless_held()
    return report


def run_rule(snakemake: Any) -> None:
    """What the wrapper does: the command and the settings are ``params`` of the rule.

    Ends this process with the exit code of ``dmtcpctl run`` where the job has not succeeded, and says why on
    stderr.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    params: dict[str, Any] = dict(snakemake.params.items())
    command: Any | None = params.pop("command", None)
    if command is None:
        sys.exit(f"rule {snakemake.rule}: its params have no `command`, the program and its arguments")
    options = {name: params[name] for name in Settings.names() if name in params}
    try:
        run(snakemake, command if isinstance(command, str) else list(command), **options)
    except TaskError as error:
        print(error, file=sys.stderr)
        sys.exit(error.report.code or 1)


def _with_parts(text: str, parts: Mapping[str, Path]) -> str:
    """The text with the outputs that it names in other places."""
    if not parts:
        return text
    # The longest first: one path may begin with another.
    either = "|".join(map(re.escape, sorted(parts, key=len, reverse=True)))
    return re.sub(rf"(?<![\w./-])(?:{either})(?![\w./-])", lambda found: str(parts[found[0]]), text)
