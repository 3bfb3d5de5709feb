"""Parsl apps that start or go on.

::

    from dmtcp.integrations.parsl import checkpointed_bash_app

    @checkpointed_bash_app
    def simulate(case, outputs=(), stdout=parsl.AUTO_LOGNAME):
        return f"./simulate {case} {outputs[0]}"

    parsl.load(Config(executors=[HighThroughputExecutor()], retries=5))

Each try that Parsl makes (``retries=``) goes on from the newest checkpoint set of the one before: behind a worker,
a node, a block or an app's ``walltime`` that ended, and in another run of the same workflow. The program runs
inside the worker's process, so that nothing of it is left when that is killed. ``inputs``, ``outputs``, ``stdout``,
``stderr``, ``walltime`` and caching are as for ``parsl.bash_app``; the program's stdout and stderr come in one
stream, to whichever of the two is asked for, once the try is over.

The command is run by ``/bin/bash -c``, or directly where the function returns a list.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import parsl  # type: ignore[import-not-found,import-untyped,unused-ignore]
from parsl.app.errors import BadStdStreamFile, BashExitFailure, MissingOutputs  # type: ignore[import-not-found,import-untyped,unused-ignore]

from . import _call
from ._place import Command, Place, fingerprints, program_files
from ._report import TaskFailed, TaskInterrupted
from ._settings import Settings
from ._task import Try, argv_of, settle

__all__ = ["checkpointed_bash_app", "checkpointed_python_app", "retry_handler"]


def checkpointed_bash_app(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Makes an app of a function that returns a command line, as ``parsl.bash_app`` does.

    Options are those of ``parsl.bash_app`` (``data_flow_kernel``, ``cache``, ``executors``,
    ``ignore_for_cache``) and the :class:`~dmtcp.integrations.Settings`. The app's result is 0.

    An app raises ``BashExitFailure`` where the program has ended with another code, ``MissingOutputs`` where a
    file of ``outputs`` is not there, :class:`~dmtcp.integrations.TaskInterrupted` where it was stopped or killed,
    and :class:`~dmtcp.integrations.TaskFailed` where it cannot be run.
    """
    return _app(_run_bash, function, options)


def checkpointed_python_app(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Makes an app of a function that runs in a process of its own, which is checkpointed.

    Options as for :func:`checkpointed_bash_app`. Arguments, result and exceptions are pickled. With
    ``native=True`` the function's first argument is the :class:`dmtcp.NativeWorker` by which it restores and
    saves its state; else DMTCP does that, and the function needs to know nothing of it.
    """
    return _app(_run_python, function, options)


def retry_handler(exception: Exception, task_record: Any) -> float:
    """For ``Config(retry_handler=…)``: a try that ended with a new, complete set costs nothing, any other one 1."""
    if isinstance(exception, TaskInterrupted) and exception.report.kind == "checkpointed":
        return 0.0
    return 1.0


def _app(remote: Callable[..., Any], function: Callable[..., Any] | None, options: dict[str, Any]) -> Any:
    ours = {name: options.pop(name) for name in Settings.names() if name in options}
    settings = Settings(**ours)

    def decorate(func: Callable[..., Any]) -> Any:
        # As Parsl does with its own: a partial of an importable function can be sent to workers, and has the
        # parameters of the user's.
        task: Any = partial(remote, func, settings)
        task.__name__ = func.__name__
        task.__module__ = func.__module__
        task.__doc__ = func.__doc__
        task.__signature__ = inspect.signature(func)
        return parsl.python_app(task, **options)

    return decorate if function is None else decorate(function)


def _run_bash(func: Callable[..., Any], settings: Settings, *args: Any, **kwargs: Any) -> int:
    command = func(*args, **kwargs)
    files = program_files(command, settings) + _paths(kwargs.get("inputs"))
    words = command if isinstance(command, str) else argv_of(command)
    identity = {"command": words, "files": fingerprints(files, settings)}
    place = Place.of(settings, [func.__name__], identity)
    with place.held(func.__name__, settings):
        return _run_held(func.__name__, command, place, settings, kwargs)


def _run_held(name: str, command: Command, place: Place, settings: Settings, kwargs: dict[str, Any]) -> int:
    outputs = _paths(kwargs.get("outputs"))
    there = [os.path.exists(os.path.join(str(settings.cwd), path)) for path in outputs]
    if place.has_finished() and not (there and all(there)):
        place.forget()
    try:
        Try(name, argv_of(command), place, settings).run()
    except TaskFailed as failure:
        if failure.report.kind == "finished":
            raise BashExitFailure(name, failure.report.code) from failure
        raise
    finally:
        _hand_over_output(place, kwargs)
    missing = [
        output
        for output in kwargs.get("outputs") or ()
        if not os.path.exists(os.path.join(str(settings.cwd), _path(output)))
    ]
    if missing:
        # What had been done leads here again.
        place.forget()
        raise MissingOutputs(f"Missing outputs from app {name}", missing)
    settle(place, settings)
    return 0


def _run_python(func: Callable[..., Any], settings: Settings, *args: Any, **kwargs: Any) -> Any:
    return _call.run(func.__name__, func, args, kwargs, settings, files=_paths(kwargs.get("inputs")))


def _hand_over_output(place: Place, kwargs: dict[str, Any]) -> None:
    """The program's output to the files that Parsl's users name."""
    wanted = kwargs.get("stdout") or kwargs.get("stderr")
    if wanted is None:
        return
    path, mode = wanted if isinstance(wanted, tuple) else (_path(wanted), "w")
    try:
        with open(place.state / "application.log", "rb") as log:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            with open(path, mode.replace("b", "") + "b") as file:
                while block := log.read(1 << 20):
                    file.write(block)
    except FileNotFoundError:
        pass  # It was not even begun.
    except OSError as error:
        raise BadStdStreamFile(str(path)) from error


def _paths(files: Sequence[Any] | None) -> list[str]:
    return [_path(file) for file in files or ()]


def _path(file: Any) -> str:
    return str(file.filepath) if hasattr(file, "filepath") else os.fspath(file)
