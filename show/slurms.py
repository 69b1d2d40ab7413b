"""A real Slurm of one computer, started from Debian's programs: munged, slurmctld and some slurmd; with accounting also
slurmdbd over MariaDB.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

import psutil

from amasia import ports
from amasia.testing.waiting import wait

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
ACCOUNTING = ("slurmdbd", "sacctmgr", "mariadbd", "mariadb-install-db")


def missing() -> str:
    """Why there can be none here; empty where there can."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)} (Debian: slurm-wlm, munge)" if absent else ""


def missing_accounting() -> str:
    """The same of its accounting."""
    absent = [program for program in ACCOUNTING if shutil.which(program) is None]
    lacking = f"not installed: {', '.join(absent)} (Debian: slurmdbd, mariadb-server)" if absent else ""
    return missing() or lacking


class Slurm:
    """Its own key, ports, sockets and spool below one folder."""

    def __init__(self, folder: Path, nodes: int = 2, *, accounting: bool = False) -> None:
        self.folder, self.nodes, self.accounting = folder, nodes, accounting
        self.conf = folder / "slurm.conf"
        self.environment = {**os.environ, "SLURM_CONF": str(self.conf)}
        self._ports = ports.several(nodes + 2)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, *self.folder.parents):  # munged refuses sockets that not everybody reaches
            mode = folder.stat().st_mode
            if mode & 0o055 != 0o055:
                folder.chmod(mode | 0o055)
        for name in ("run", "log", "state", "munge", *(f"spool/n{one}" for one in range(1, self.nodes + 1))):
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o755)
        munge = self.folder / "munge"
        (munge / "munge.key").write_bytes(secrets.token_bytes(128))
        (munge / "munge.key").chmod(0o400)
        _run("munged", "--force", f"--key-file={munge}/munge.key", f"--socket={munge}/munge.sock",
             f"--pid-file={self.folder}/run/munged.pid", f"--log-file={self.folder}/log/munged.log",
             f"--seed-file={munge}/seed", "--num-threads=2")  # fmt: skip
        self.conf.write_text(self._configuration())
        if self.accounting:
            self._start_accounting()
        self.start_controller()
        for one in range(1, self.nodes + 1):
            _run("slurmd", "-N", f"n{one}", env=self.environment)
        wait(
            lambda: self.run("sinfo", "-h", "-p", "main", "-t", "idle", "-o", "%D").strip() == str(self.nodes),
            30,
            why=self._log,
        )

    def start_controller(self) -> None:
        _run("slurmctld", env=self.environment)

    def stop_controller(self) -> None:
        """In order, so that it writes down what it knows of jobs."""
        controller = psutil.Process(int((self.folder / "run/slurmctld.pid").read_text()))
        controller.terminate()
        controller.wait(20)

    def stop(self) -> None:
        subprocess.run(["scancel", "--user=root"], env=self.environment, capture_output=True, timeout=20, check=False)
        time.sleep(0.5)
        for pid in sorted((self.folder / "run").glob("*.pid")):
            self._end(pid)

    def run(self, *command: str) -> str:
        return _run(*command, env=self.environment)

    def running(self, name: str) -> int:
        """How many jobs of a name run, or wait to."""
        lines = self.run("squeue", "--noheader", "--states=PENDING,RUNNING,CONFIGURING", f"--name={name}")
        return len(lines.splitlines())

    def _configuration(self) -> str:
        stored = (
            f"""AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={self._ports[-1]}
AccountingStoragePass={self.folder}/munge/munge.sock
JobAcctGatherType=jobacct_gather/none"""
            if self.accounting
            else ""
        )
        cpus, memory = psutil.cpu_count() or 1, psutil.virtual_memory().total // (1 << 20) // self.nodes - 512
        host, first, folder = socket.gethostname(), self._ports[1:], self.folder
        names = "\n".join(
            f"NodeName=n{one} NodeHostname={host} NodeAddr=127.0.0.1 Port={first[one - 1]} CPUs={cpus} "
            f"RealMemory={memory}"
            for one in range(1, self.nodes + 1)
        )
        return f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={self._ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.sock
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
MessageTimeout=2
MinJobAge={2 if self.accounting else 300}
KillWait=5
{stored}
{names}
PartitionName=main Nodes=ALL Default=YES MaxTime=01:00:00 State=UP
PartitionName=closed Nodes=ALL MaxTime=01:00:00 State=DOWN
"""

    def _start_accounting(self) -> None:
        data, run = self.folder / "database", self.folder / "run"
        data.mkdir()
        for folder in (data, run):
            shutil.chown(folder, "mysql")
        own = ["--no-defaults", "--user=mysql", f"--datadir={data}"]
        _run("mariadb-install-db", *own, "--auth-root-authentication-method=socket", "--skip-test-db")
        with (self.folder / "log/mariadb.log").open("ab") as log:
            subprocess.Popen(
                ["mariadbd", *own, f"--socket={run}/mysql.sock", "--skip-networking", f"--pid-file={run}/mariadbd.pid",
                 "--innodb-buffer-pool-size=64M"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait(lambda: (run / "mysql.sock").exists() and (run / "mariadbd.pid").exists(), 30)
        conf = self.folder / "slurmdbd.conf"
        conf.write_text(f"""AuthType=auth/munge
AuthInfo=socket={self.folder}/munge/munge.sock
DbdHost={socket.gethostname()}
DbdAddr=127.0.0.1
DbdPort={self._ports[-1]}
SlurmUser=root
PidFile={run}/slurmdbd.pid
LogFile={self.folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounts
""")
        conf.chmod(0o600)
        _run("slurmdbd", env=self.environment | {"SLURM_CONF": str(conf), "MYSQL_UNIX_PORT": f"{run}/mysql.sock"})
        wait(lambda: _answers(self._ports[-1]), 30)
        _run("sacctmgr", "--immediate", "add", "cluster", "test", env=self.environment)

    def _log(self) -> str:
        return (self.folder / "log/slurmctld.log").read_text()[-2000:]

    def _end(self, file: Path) -> None:
        with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
            psutil.Process(int(file.read_text())).kill()


def _run(*command: str, env: dict[str, str] | None = None) -> str:
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=60).stdout


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
