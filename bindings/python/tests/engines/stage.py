"""A folder in which one task runs, what kills it in the middle, and what it leaves."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import series

ROOT = Path(__file__).resolve().parents[4]
#: Longer than anything here takes unless it hangs.
LONG = float(os.environ.get("ENGINES_TEST_LIMIT", "300"))


def kinds():
    """How the program is made to checkpoint: by itself, or by each DMTCP that ``DMTCP_BIN`` names."""
    folders = [folder for folder in os.environ.get("DMTCP_BIN", "").split(":") if folder]
    if not folders:
        print("SKIPPED: no DMTCP", file=sys.stderr)
    return ["native", *folders]


def eventually(what, look, other=lambda: None, explain=str):
    """What ``look`` finds in the end. ``other`` raises if there is nothing to wait for any more."""
    end = time.monotonic() + LONG
    while True:
        found = look()
        if found:
            return found
        other()
        assert time.monotonic() < end, f"not within {LONG} s: {what}\n{explain()}"
        time.sleep(0.1)


class Stage:
    def __init__(self, folder, kind):
        self.folder = folder
        self.kind = kind
        self.native = kind == "native"
        self.case = folder / "case.txt"
        self.case.write_text("a\n")
        self.result = folder / "result"
        self.root = folder / "dmtcp-state"

    @property
    def program(self):
        return [
            # Not by a link in a virtual environment of some kinds, which is a script.
            os.path.realpath(sys.executable) if not self.native else sys.executable,
            "-u",
            str(Path(series.__file__).resolve()),
            "native" if self.native else "plain",
            str(self.folder),
        ]

    @property
    def environment(self):
        variables = {**os.environ, "HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder)}
        # Engines start programs of theirs by name.
        variables["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        variables.pop("DMTCP_STATE_ROOT", None)
        variables.pop("DMTCP_BIN", None)
        if not self.native:
            variables["DMTCP_BIN"] = self.kind
        return variables

    @property
    def options(self):
        """Settings of an integration."""
        tools = None if self.native else self.kind
        return {"native": self.native, "tools": tools, "interval": 1, "state_root": str(self.root)}

    @contextlib.contextmanager
    def engine(self, *command, **variables):
        """The engine, as a process of its own with what it prints in a file."""
        with open(self.folder / "printed", "ab") as file:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                env={**self.environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                process.kill()
                process.wait()

    def printed(self):
        try:
            return (self.folder / "printed").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def explain(self):
        """All that was written down."""
        logs = [*self.folder.glob("**/execution.log"), *self.folder.glob("**/application.log")]
        return "\n".join([self.printed(), *(f"--- {log}\n{log.read_text()}" for log in logs)])

    def wait_half(self, process=None):
        """Until the program is in its middle; again, if it was waited for before."""
        half = self.folder / "half"
        half.unlink(missing_ok=True)
        eventually("half of the series", half.exists, lambda: self._must_run(process), self.explain)

    def state(self):
        """The state directory of the one task that is there."""
        found = [path.parent for path in self.root.glob("**/job.json")]
        assert len(found) <= 1, found
        return found[0] if found else None

    def wait_set(self, process=None):
        """Until there is a set of the middle."""
        before = self._newest() or 0
        eventually(
            "a set of the task", lambda: (self._newest() or 0) > before, lambda: self._must_run(process), self.explain
        )

    def _newest(self):
        state = self.state()
        sets = state / "sets" if state else None
        if sets is None or not sets.is_dir():
            return None
        return max((int(path.name) for path in sets.iterdir() if path.name.isdigit()), default=None)

    def owner(self):
        """The process that runs the job: the engine's own."""
        record = json.loads((self.state() / "job.json").read_text())
        return record["owner"]["pid"]

    def kill_owner(self):
        """As when its node fails."""
        pid = self.owner()
        os.kill(pid, signal.SIGKILL)
        return pid

    def let_go(self):
        (self.folder / "go").touch()

    def wait_end(self, process):
        try:
            code = process.wait(LONG)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the engine hangs\n{self.explain()}") from None
        assert code == 0, self.explain()

    def _must_run(self, process):
        assert process is None or process.poll() is None, self.explain()

    def assert_right(self, result=None):
        """The result is there once and right, and all of it came from one start."""
        lines = (result or self.result).read_text().split()
        assert lines == [str(series.expected())], self.explain()
        assert self.starts() == 1, self.explain()

    def starts(self):
        return len((self.folder / "started").read_text().split())

    def assert_removed(self):
        """Nothing is kept of a task that has succeeded."""
        assert not [path for path in self.root.glob("**/*") if path.is_file()], list(self.root.glob("**/*"))
