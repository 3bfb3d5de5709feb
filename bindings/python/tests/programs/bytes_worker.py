"""A worker with an encoding of its own, in parts. Usage: bytes_worker.py FILE, as array_worker.py."""

import array
import sys
import time
from pathlib import Path

import dmtcp

numbers = array.array("d", range(1000))
with dmtcp.NativeWorker.join() as worker:
    restored = worker.restore_bytes()
    while not Path(sys.argv[1]).exists():
        time.sleep(0.01)
        worker.safe_point_bytes([b"head", bytearray(b"-"), memoryview(numbers)])
if restored is not None:
    assert bytes(restored[:5]) == b"head-"
    assert array.array("d", bytes(restored[5:])) == numbers
    restored[0] = 0
    Path(sys.argv[1] + ".restored").touch()
