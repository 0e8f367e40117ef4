"""Runs `examples/slurm/train.sbatch` in a real Slurm of one node, on the miniature: `make slurm`.

    python Tests/Peers/checks/slurm.py [--command .build/release/cascade-adapt]

Wants Debian's slurm-wlm and munge, and root, for Slurm's daemons run as such; they end with the check. Needs the images
that `make demo` draws. Checks that `srun -n2` and one process come to the same losses, and that a job which is told to
end by USR1 saves, is queued again by itself and goes on to its last update."""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
UPDATES = 12
CONFIGURATION = """
ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
ReturnToService=2
SlurmctldPort={controller}
SlurmdPort={node}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
SchedulerParameters=requeue_delay=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """Daemons of one node in a folder of their own."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.daemons = folder, []
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}

    def __enter__(self) -> "Slurm":
        for name in ("spool", "state"):
            (self.folder / name).mkdir()
        ports = [free_port(), free_port()]
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(host=socket.gethostname(), folder=self.folder, controller=ports[0], node=ports[1])
        )
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        (self.folder / "munge.key").write_bytes(os.urandom(1024))
        (self.folder / "munge.key").chmod(0o400)
        files = {"key-file": "munge.key", "socket": "munge.socket", "log-file": "munge.log", "pid-file": "munge.pid",
                 "seed-file": "munge.seed"}  # fmt: skip
        self.start(["munged", "--foreground", "--force", *(f"--{key}={self.folder / name}" for key, name in files.items())])
        self.start(["slurmctld", "-D", "-c"])
        self.start(["slurmd", "-D"])
        for _ in range(60):
            time.sleep(1)
            if "idle" in self.run(["sinfo", "-h", "-o", "%t"], check=False):
                return self
        self.__exit__()
        sys.exit("the node did not come up:\n" + (self.folder / "slurmd.log").read_text())

    def __exit__(self, *_: object) -> None:
        for daemon in reversed(self.daemons):
            daemon.terminate()
            daemon.wait()

    def start(self, words: list) -> None:
        output = subprocess.DEVNULL
        self.daemons.append(subprocess.Popen(words, env=self.environment, stdout=output, stderr=output))
        time.sleep(1)

    def run(self, words: list, check: bool = True) -> str:
        done = subprocess.run(words, env=self.environment, cwd=ROOT, capture_output=True, text=True)
        if check and done.returncode != 0:
            sys.exit(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def losses(folder: pathlib.Path) -> list[float]:
    lines = (folder / "output/fernando/metrics.jsonl").read_text().splitlines()
    return [line["raw_loss"] for line in map(json.loads, lines) if "raw_loss" in line]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--command", type=pathlib.Path, default=ROOT / ".build/release/cascade-adapt")
    command = words.parse_args().command.resolve()
    with tempfile.TemporaryDirectory() as name, Slurm(pathlib.Path(name)) as slurm:
        folder = pathlib.Path(name)

        def training(place: str, updates: int = UPDATES) -> list:
            settings = {
                "checkpoint_path": folder / place, "output_path": folder / place / "output", "updates": updates,
                "preview_steps": 0,
            }  # fmt: skip
            sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
            return ["lora", "examples/miniature/fernando.yaml", "--threads", "1", *sets]

        slurm.run([command, *training("alone")])
        slurm.run(["srun", "-n2", "--oversubscribe", command, *training("srun")])
        alone, together = losses(folder / "alone"), losses(folder / "srun")
        worst = max(abs(a - b) / a for a, b in zip(alone, together, strict=True))
        print(f"srun -n2: {len(together)} updates, losses within {worst:.1e} of one process's")
        if worst > 1e-3:
            sys.exit("the losses differ")

        job = slurm.run(
            ["sbatch", "--parsable", "--ntasks=2", "--time=10", f"--output={folder}/job.txt", "examples/slurm/train.sbatch",
             command, *map(str, training("job", 60))]
        ).strip()  # fmt: skip
        metrics = folder / "job/output/fernando/metrics.jsonl"
        for _ in range(600):
            time.sleep(0.2)
            if metrics.exists() and len(metrics.read_text().splitlines()) > 8:
                break
        slurm.run(["scancel", "--signal=USR1", job])
        for _ in range(600):
            time.sleep(1)
            if not slurm.run(["squeue", "-h", "-j", job], check=False).strip():
                break
        said = (folder / "job.txt").read_text()
        count = len(losses(folder / "job"))
        if "saved; the same command goes on" not in said or "resumed at update" not in said or count != 60:
            sys.exit(f"the job did not go on to its last update ({count} of 60):\n{said}")
        print(f"sbatch: ended by USR1, queued again, {count} updates")


if __name__ == "__main__":
    main()
