"""A worker with arrays for a state, one of them sealed into an image with a known content.

Usage: array_worker.py FILE: ends, with its findings as JSON, once FILE is there.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

import dmtcp

with dmtcp.NativeWorker.join() as worker:
    state = worker.restore()
    found = {}
    if state is None:
        plain = np.arange(100_000, dtype=np.float64).reshape(100, 1000)
        fixed = np.arange(7, dtype=np.int16)
        fixed.setflags(write=False)
        state = {
            "plain": plain,
            "fortran": np.asfortranarray(plain[:10]),
            "every other": plain[:, ::2],
            "fixed": fixed,
            "empty": np.zeros(0),
            "words": ["a", ("b", None)],
        }
    else:
        plain = state["plain"]
        found = {
            "plain": bool((plain == np.arange(100_000).reshape(100, 1000)).all()),
            "fortran": bool((state["fortran"] == plain[:10]).all()),
            "in fortran order": state["fortran"].flags.f_contiguous,
            "every other": bool((state["every other"] == plain[:, ::2]).all()),
            "fixed": state["fixed"].tolist(),
            "fixed stays": not state["fixed"].flags.writeable,
            "in place": not plain.flags.owndata and plain.flags.writeable and plain.flags.aligned,
            "empty": state["empty"].size,
            "words": state["words"],
        }
        plain[0, 0] = -1
        assert state["plain"][0, 0] == -1
        plain[0, 0] = 0
    while not Path(sys.argv[1]).exists():
        time.sleep(0.01)
        worker.safe_point(state)
Path(sys.argv[1] + ".json").write_text(json.dumps(found))
