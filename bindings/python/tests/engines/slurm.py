"""A Slurm of two nodes on loopback, with a munge of its own, of this user, in a temporary folder."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from stage import eventually

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")


def find(name):
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin", "/sbin"]))


def missing():
    """Which of its programs is not installed; ``None``: all are."""
    return next((name for name in PROGRAMS if find(name) is None), None)


@contextlib.contextmanager
def cluster():
    """The variables by which its commands find it."""
    folder = Path(tempfile.mkdtemp())
    # Munge's clients come through here.
    folder.chmod(0o755)
    for name in ("munge", "ctld", "node1", "node2"):
        (folder / name).mkdir()
    key = folder / "munge/key"
    key.write_bytes(os.urandom(64))
    key.chmod(0o400)
    (folder / "slurm.conf").write_text(configuration(folder))
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    daemons = []

    def start(name, program, *options):
        with open(folder / f"{name}.out", "wb") as out:
            command = [find(program), *map(str, options)]
            daemons.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out))

    def logs():
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.out"))

    munge = folder / "munge"
    try:
        start(
            "munged", "munged", "--foreground", "--force", "--num-threads=2",
            *(f"--{option}={munge / name}" for option, name in
              (("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("seed-file", "seed"), ("log-file", "log"))),
        )  # fmt: skip
        eventually("munge", (munge / "socket").exists, explain=logs)
        start("slurmctld", "slurmctld", "-D")
        for node in ("node1", "node2"):
            start(node, "slurmd", "-D", "-N", node)
        ask = ["sinfo", "--noheader", "--Node", "--format=%t"]

        def idle():
            answer = subprocess.run(ask, env=environment, capture_output=True, text=True, check=False)
            return answer.stdout.split() == ["idle", "idle"]

        eventually("two idle nodes", idle, explain=logs)
        yield {"SLURM_CONF": environment["SLURM_CONF"]}
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def configuration(folder):
    """Several daemons on one host, no accounting, no control groups; a job that is to run again waits a quarter
    of a minute instead of two."""
    ctld, first, second = free_ports(3)
    user = getpass.getuser()
    return f"""\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=15
CredType=cred/munge
SlurmctldPort={ctld}
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/ctld.out
SlurmdLogFile={folder}/%n.log
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
MpiDefault=none
ReturnToService=2
KillWait=10
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={first} CPUs=64 State=UNKNOWN
NodeName=node2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={second} CPUs=64 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
