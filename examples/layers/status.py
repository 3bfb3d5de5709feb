"""The Python layer of the benchmark `status_layers`: status.py ADDRESS; for each number on stdin so many
calls, and a line with the nanoseconds of each."""

import sys
import time

import dmtcp

coordinator = dmtcp.Coordinator(sys.argv[1], dialect="v3")
for line in sys.stdin:
    took = []
    for _ in range(int(line)):
        start = time.perf_counter_ns()
        coordinator.status()
        took.append(time.perf_counter_ns() - start)
    print(*took, sep="\n", flush=True)
