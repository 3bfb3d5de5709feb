"""What the tasks of these tests compute: a sum that is wrong if a step is lost or repeated.

``series.py native|plain FOLDER … RESULT``. It leaves in FOLDER a line in ``started`` for each fresh start. In its
middle it waits until there is ``go``, and sees to it all the time that there is ``half``. Then it writes its sum to
RESULT.
"""

import contextlib
import os
import sys
import time

STEPS = 400


def expected():
    return sum(step * step for step in range(STEPS))


def compute(folder, restored, save):
    """``restored`` is the state to go on from, or ``None``; ``save`` is called with it at each safe point."""
    if restored is None:
        with open(os.path.join(folder, "started"), "a") as file:
            file.write("fresh\n")
    following, total = restored or (0, 0)
    while following < STEPS:
        if following == STEPS // 2:
            while not os.path.exists(os.path.join(folder, "go")):
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(os.path.join(folder, "half"), os.O_CREAT | os.O_EXCL))
                time.sleep(0.01)
                save((following, total))
        total += following * following
        following += 1
        time.sleep(0.001)
        save((following, total))
    return total


def main():
    kind, folder, result = sys.argv[1], sys.argv[2], sys.argv[-1]
    print("the beginning", flush=True)
    if kind == "native":
        import dmtcp

        with dmtcp.NativeWorker.join() as worker:
            total = compute(folder, worker.restore(), worker.safe_point)
            write(result, total)
    else:
        write(result, compute(folder, None, lambda state: None))


def write(result, total):
    with open(result, "a") as file:
        file.write(f"{total}\n")
    print("the end", flush=True)


if __name__ == "__main__":
    main()
