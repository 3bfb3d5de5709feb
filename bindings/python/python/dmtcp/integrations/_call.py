"""A Python function as a task: it runs in a process of its own, which is checkpointed.

The function and its arguments are pickled into the task's folder, its result comes back the same way.
``python -m dmtcp.integrations._call FOLDER`` is that process.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

from dmtcp import WorkerExit

from ._place import Place, fingerprints
from ._report import TaskFailed
from ._settings import Settings
from ._task import Try, settle

CALL, RESULT = "call.pickle", "result.pickle"


def run(
    name: str,
    func: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    settings: Settings,
    *,
    key: Any = None,
    files: Sequence[str] = (),
) -> Any:
    """Calls the function, or goes on with the call; returns or raises what it does.

    ``key`` and ``files`` belong to what the task is known by, besides the function's code and its arguments.
    """
    arguments = _dump((tuple(args), dict(kwargs)))
    identity = {
        "function": _known_by(func),
        "arguments": hashlib.sha256(arguments).hexdigest(),
        "key": key,
        "files": fingerprints(files, settings),
        "python": sys.version,
    }
    place = Place.of(settings, [name], identity)
    with place.held(name, settings):
        return _run(name, func, arguments, place, settings)


def _run(name: str, func: Callable[..., Any], arguments: bytes, place: Place, settings: Settings) -> Any:
    result = place.work / RESULT
    if place.has_finished():
        if not result.exists():
            place.forget()
    else:
        # Of a try whose engine was not there any more to hear of it.
        result.unlink(missing_ok=True)
    if not (place.work / CALL).exists():
        place.work.mkdir(parents=True, exist_ok=True)
        # The search path first: what is behind it may need it to be read.
        call = pickle.dumps(sys.path) + _dump((func, settings.native)) + arguments
        _write(place.work / CALL, call)
    argv = [sys.executable, "-m", "dmtcp.integrations._call", str(place.work)]
    try:
        Try(name, argv, place, settings).run()
    except TaskFailed as failure:
        if failure.report.kind != "finished" or not result.exists():
            raise
        kind, value = _load_result(result)
        # The next try goes on from the newest set, before the function raised this.
        result.unlink()
        if kind == "raised":
            raise value from failure
        raise
    _, value = _load_result(result)
    settle(place, settings)
    return value


def _dump(value: Any) -> bytes:
    """As engines do it: functions that cannot be imported go by value, where ``cloudpickle`` is installed."""
    try:
        from cloudpickle import dumps  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return pickle.dumps(value)
    data: bytes = dumps(value)
    return data


def _write(path: Path, data: bytes) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with open(aside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _load_result(path: Path) -> tuple[str, Any]:
    with open(path, "rb") as file:
        kind, value = pickle.load(file)
    return kind, value


def _known_by(func: Any, within: tuple[Any, ...] = ()) -> Any:
    """What the function does, as far as it is in its own code and in what that was made with: defaults,
    variables of the functions around it, the object it is a method of, arguments of a ``partial``."""
    if any(func is one for one in within):
        return "itself"
    within = (*within, func)
    if isinstance(func, functools.partial):
        return ["partial", _known_by(func.func, within), _digest((func.args, func.keywords))]
    if isinstance(func, MethodType):
        return ["method", _known_by(func.__func__, within), _object(func.__self__)]
    if not isinstance(func, FunctionType):
        call = getattr(type(func), "__call__", None)
        return [_object(func), _known_by(call, within) if isinstance(call, FunctionType) else None]
    around = []
    for cell in func.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:
            value = None  # It has none yet.
        around.append(_known_by(value, within) if isinstance(value, FunctionType) else _digest(value))
    defaults = _digest((func.__defaults__, func.__kwdefaults__))
    return [func.__module__, func.__qualname__, _code_digest(func.__code__), defaults, around]


def _object(value: Any) -> Any:
    # By its class's name and its attributes: a class that goes by value is pickled in another way each time.
    attributes = getattr(value, "__dict__", None)
    kind = value if isinstance(value, type) else type(value)
    if isinstance(value, type) or not isinstance(attributes, dict):
        attributes = getattr(value, "__qualname__", None) or repr(value)
    return [kind.__module__, kind.__qualname__, _digest(attributes)]


def _digest(value: Any) -> str:
    try:
        data = _dump(value)
    except Exception:  # noqa: BLE001 - pickling runs code of the user's
        data = repr(value).encode("utf-8", "surrogateescape")
    return hashlib.sha256(data).hexdigest()


def _code_digest(whole: CodeType) -> str:
    digest = hashlib.sha256()

    def add(code: CodeType) -> None:
        digest.update(code.co_code)
        digest.update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                add(constant)
            elif isinstance(constant, frozenset):
                digest.update(repr(sorted(map(repr, constant))).encode())
            else:
                digest.update(repr(constant).encode())

    add(whole)
    return digest.hexdigest()


def _main(folder: Path) -> int:
    with open(folder / CALL, "rb") as file:
        for entry in pickle.load(file):
            if entry not in sys.path:
                sys.path.append(entry)
        func, native = pickle.load(file)
        args, kwargs = pickle.load(file)
    if not native:
        return _answer(folder, func, args, kwargs)
    import dmtcp

    with dmtcp.NativeWorker.join() as worker:
        return _answer(folder, func, (worker, *args), kwargs)


def _answer(folder: Path, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    answer: tuple[str, Any]
    code = 0
    try:
        answer = ("returned", func(*args, **kwargs))
    except WorkerExit:
        raise
    except Exception as error:  # noqa: BLE001 - it is its caller's
        traceback.print_exc()
        answer, code = ("raised", error), 1
    try:
        data = _dump(answer)
        pickle.loads(data)
    except Exception as error:  # noqa: BLE001 - pickling runs code of the user's
        print(f"what the function has {answer[0]} cannot be pickled: {error!r}", file=sys.stderr)
        return 1
    _write(folder / RESULT, data)
    return code


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
