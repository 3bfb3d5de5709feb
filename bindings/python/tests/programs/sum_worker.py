"""Sums 0 to COUNT - 1, a worker by itself. Usage: sum_worker.py COUNT [SECONDS between steps]."""

import sys
import time

import dmtcp

count = int(sys.argv[1])
pause = float(sys.argv[2]) if len(sys.argv) > 2 else 0.01

with dmtcp.NativeWorker.join() as worker:
    state = worker.restore({"next": 0, "sum": 0})
    print("from", state["next"], flush=True)
    while state["next"] < count:
        state["sum"] += state["next"]
        state["next"] += 1
        time.sleep(pause)
        worker.safe_point(state)
print("sum", state["sum"], flush=True)
