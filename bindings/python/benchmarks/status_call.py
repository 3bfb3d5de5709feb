"""What a status call costs through this package, beside starting `dmtcp_command --status`.

    python benchmarks/status_call.py [--calls 2000] [--command PROGRAM]

The coordinator is ours, in a process of its own. PROGRAM is DMTCP's `dmtcp_command`, found in DMTCP_BIN or
PATH if not given; without it `dmtcpctl status` is started instead. All are asked in turns, in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import time
from typing import Callable

import dmtcp
from dmtcp import aio


def timed(work: Callable[[], object], taken: list[float]) -> None:
    begun = time.perf_counter()
    work()
    taken.append(time.perf_counter() - begun)


def main(calls: int, command: str | None) -> None:
    helper = dmtcp.HelperCoordinator.start(stale_timeout=600)
    host, port = helper.address
    environment = {**os.environ, "DMTCP_COORD_HOST": host, "DMTCP_COORD_PORT": str(port)}
    words = [command, "--coord-port", str(port), "--status"]
    if command is None:
        words = [str(dmtcp.dmtcpctl_path()), "status", "--port", str(port)]
    coordinator = helper.coordinator()
    mirrored = aio.Coordinator(helper)
    loop = asyncio.new_event_loop()

    def bare() -> None:
        """A question of this size, as little as Python can do: connect, write, read to the end."""
        with socket.create_connection((host, port)) as stream:
            stream.sendall(request)
            while stream.recv(4096):
                pass

    request = asked(coordinator)
    ways: dict[str, Callable[[], object]] = {
        "a socket of Python, the same bytes": bare,
        "dmtcp.Coordinator.status": coordinator.status,
        "dmtcp.aio.Coordinator.status": lambda: loop.run_until_complete(mirrored.status()),
    }
    with dmtcp.Server() as server, server.open() as computation:
        ways["dmtcp.Computation.status"] = computation.status
        taken: dict[str, list[float]] = {name: [] for name in ways}
        spawned: list[float] = []
        for number in range(calls):
            for name, work in ways.items():
                timed(work, taken[name])
            if number % 20 == 0:
                timed(
                    lambda: subprocess.run(
                        words, env=environment, check=True, stdout=subprocess.DEVNULL, close_fds=True
                    ),
                    spawned,
                )
    loop.close()
    coordinator.quit()
    taken[f"starting {os.path.basename(words[0])}"] = spawned
    slow = statistics.median(spawned)
    for name, times in taken.items():
        times.sort()
        median = statistics.median(times)
        p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
        print(
            f"{name:36} median {median * 1e6:9.1f} us, p99 {p99 * 1e6:9.1f} us,"
            f" {slow / median:7.1f} times as fast as starting it"
        )


def asked(coordinator: dmtcp.Coordinator) -> bytes:
    """What the handle sends for a status, seen by a listener in the coordinator's place."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()[:2]
        handle = dmtcp.Coordinator(address, timeout=0.3)
        try:
            handle.status()
        except dmtcp.TimeoutError:
            pass
        stream, _ = listener.accept()
        with stream:
            stream.settimeout(5)
            return stream.recv(4096)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--command")
    options = parser.parse_args()
    found = options.command
    if found is None:
        path = os.environ.get("DMTCP_BIN") or os.environ["PATH"]
        found = shutil.which("dmtcp_command", path=path)
    main(options.calls, found)
