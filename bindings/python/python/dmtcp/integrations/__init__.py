"""A task of a workflow engine that goes on where it was when the engine tries it again.

One module for each engine: :mod:`~dmtcp.integrations.snakemake`, :mod:`~dmtcp.integrations.parsl`,
:mod:`~dmtcp.integrations.submitit` and :mod:`~dmtcp.integrations.dask`. None of them is imported by
``import dmtcp``, and no engine by this package.

They have in common:

- **Where.** The state of a task is in ``ROOT/NAME/DIGEST``. ROOT is ``state_root``, else the variable
  ``DMTCP_STATE_ROOT``, else ``dmtcp-state`` in the working directory of whoever defines the task; all hosts
  that may run it have to see it under the same path. NAME is the engine's name of the task, and DIGEST is of
  its command or function, of its arguments, and of the program's file and the declared inputs (size and time
  of change).
- **Changed parameters** are another DIGEST, and so a fresh start. Nothing goes on from the sets of what was
  asked for before.
- **After success** the state is removed, or with ``keep_state=True`` renamed to ``DIGEST.finished``, from which
  nothing goes on. After a failure it stays.
- **What came of it** is a :class:`Report`, and a line each in the logger ``dmtcp.integrations``.
- **What is raised** is :class:`TaskInterrupted` where another try goes on from what is there, and
  :class:`TaskFailed` where the program has ended with a failure, or cannot be run. Both can be pickled.
"""

from ._report import Report, TaskError, TaskFailed, TaskInterrupted
from ._settings import Settings
from ._task import stop_all

__all__ = ["Report", "Settings", "TaskError", "TaskFailed", "TaskInterrupted", "stop_all"]
