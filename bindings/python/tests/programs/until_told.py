"""A worker that runs until the file FILE is there, in steps of a hundredth of a second."""

import sys
import time
from pathlib import Path

import dmtcp

with dmtcp.NativeWorker.join() as worker:
    steps = worker.restore(0)
    print("from", steps, flush=True)
    while not Path(sys.argv[1]).exists():
        steps += 1
        time.sleep(0.01)
        worker.safe_point(steps)
print("done", flush=True)
