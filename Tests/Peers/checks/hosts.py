"""Trains one run on two hosts made of network namespaces, with 100 Mbit/s between them: `make hosts`, as root.

    python Tests/Peers/checks/hosts.py [--command .build/release/cascade-adapt]

The same LoRA run of the miniature three times: over the slow link, with packets lost for 20 seconds, and with all packets
lost from an update on. The first two have to come to the very losses of two processes on one machine. The last has to end
on both hosts soon after the time that processes wait for one another, each naming the process that it has lost. Then what
two and four processes send is held against what `plan --processes` says, with the base in each of them and shared out
(`use_fsdp`). Needs the images that `make demo` draws, and Debian's iproute2."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
UPDATES = 30
# For how long the link loses everything, and how long processes wait for one another where it does so for good, in seconds.
CUT, PATIENCE = 20, 15
LINK = ["tbf", "rate", "100mbit", "burst", "64kb", "latency", "50ms"]


class Hosts:
    """Two namespaces with a link between them."""

    def __init__(self) -> None:
        self.names = [f"cascade-{os.getpid()}-{end}" for end in "ab"]
        self.links = [f"cl{os.getpid()}{end}" for end in "ab"]

    def __enter__(self) -> "Hosts":
        for name in self.names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        peer = ["type", "veth", "peer", "name", self.links[1], "netns", self.names[1]]
        subprocess.run(["ip", "-n", self.names[0], "link", "add", self.links[0], *peer], check=True)
        for index, (name, link) in enumerate(zip(self.names, self.links, strict=True)):
            for words in (f"addr add 10.77.0.{index + 1}/24 dev {link}", "link set lo up", f"link set {link} up"):
                subprocess.run(["ip", "-n", name, *words.split()], check=True)
        self.carry(LINK)
        return self

    def __exit__(self, *_) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False)

    def carry(self, how: list[str]) -> None:
        """What becomes of packets: `blackhole` loses them, as a network does that fails on the way."""
        for name, link in zip(self.names, self.links, strict=True):
            subprocess.run(["tc", "-n", name, "qdisc", "replace", "dev", link, "root", *how], check=True)

    def carried(self) -> int:
        """Bytes that the processes of the first host have sent each other so far."""
        words = ["ip", "-n", self.names[0], "-s", "-j", "link", "show", "lo"]
        return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)[0]["stats64"]["tx"]["bytes"]

    def start(self, run: "Run", *words: str) -> list[subprocess.Popen]:
        """One process on each host, found as torchrun's variables say."""
        processes = []
        for rank, (name, link) in enumerate(zip(self.names, self.links, strict=True)):
            place = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1, "GLOO_SOCKET_IFNAME": link}
            place |= {"MASTER_ADDR": "10.77.0.1", "MASTER_PORT": 29500}
            processes.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", name, *run.words, *words], cwd=ROOT, text=True, stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE, env=os.environ | {key: str(value) for key, value in place.items()},
                )
            )  # fmt: skip
        return processes


class Run:
    """A LoRA run in a folder of its own."""

    def __init__(self, command: pathlib.Path, folder: pathlib.Path, more: dict | None = None):
        self.folder = folder
        settings = {
            "experiment_id": "run", "checkpoint_path": folder, "output_path": folder / "output", "updates": UPDATES,
            "save_every": 5, "preview_steps": 0, "dropout": 0.1, "loss_weight": "adaptive",
        } | (more or {})  # fmt: skip
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        configuration = [str(ROOT / "examples/miniature/fernando.yaml"), "--threads", "1", *sets]
        self.words, self.planning = [str(command), "lora", *configuration], [str(command), "plan", *configuration]

    def updates(self) -> list[dict]:
        metrics = self.folder / "output/run/metrics.jsonl"
        # The last line may not be whole yet.
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        return [json.loads(line) for line in lines if '"raw_loss"' in line and line.endswith("}")]

    def losses(self) -> list[float]:
        return [update["raw_loss"] for update in self.updates()]

    def wait(self, updates: int, processes: list[subprocess.Popen]) -> None:
        while len(self.updates()) < updates and all(process.poll() is None for process in processes):
            time.sleep(0.02)


def measure(command: pathlib.Path, folder: pathlib.Path, hosts: Hosts) -> None:
    """What processes send an update and hold, beside what a plan says."""
    print("| base | processes | sent by each | planned | of tensors, the most of a process |\n|---|---|---|---|---|")
    for is_shared in (False, True):
        for count in (2, 4):
            run = Run(command, folder / f"sent-{is_shared}-{count}", {"use_fsdp": is_shared, "updates": 10})
            before = hosts.carried()
            inside = ["ip", "netns", "exec", hosts.names[0], *run.words, "--processes", str(count)]
            ended([subprocess.Popen(inside, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)], 0)
            sent = (hosts.carried() - before) / count / 10
            words = [*run.planning, "--processes", str(count), "--json"]
            plan = json.loads(subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout)["processes"]
            report = (run.folder / "output/run/report.html").read_text()
            tensors = max(map(float, re.findall(r"at most ([0-9.]+) MB of tensors", report)))
            what = "shared out" if is_shared else "in each"
            print(f"| {what} | {count} | {sent / 1e6:.2f} MB | {plan['sent_bytes'] / 1e6:.2f} MB | {tensors:.1f} MB |", flush=True)
            if not 0.9 < sent / plan["sent_bytes"] < 1.25:
                sys.exit("a plan says something else than what is sent")


def ended(processes: list[subprocess.Popen], status: int) -> list[str]:
    said = [process.communicate()[1] for process in processes]
    if any(process.returncode != status for process in processes):
        sys.exit("\n".join(f"ended with {process.returncode}:\n{text}" for process, text in zip(processes, said, strict=True)))
    return said


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--command", type=pathlib.Path, default=ROOT / ".build/release/cascade-adapt")
    command = words.parse_args().command.resolve()
    if os.geteuid() != 0:
        sys.exit("network namespaces are for root")

    with tempfile.TemporaryDirectory() as name, Hosts() as hosts:
        folder = pathlib.Path(name)
        local = Run(command, folder / "local")
        ended([subprocess.Popen([*local.words, "--processes", "2"], cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)], 0)

        slow = Run(command, folder / "slow")
        ended(hosts.start(slow), 0)
        seconds = [sum(update["seconds"] for update in run.updates()) / UPDATES for run in (local, slow)]
        print(f"{seconds[0]:.3f} s an update on one machine, {seconds[1]:.3f} s on two hosts")

        cut = Run(command, folder / "cut")
        processes = hosts.start(cut)
        cut.wait(10, processes)
        hosts.carry(["blackhole"])
        time.sleep(CUT)
        before = len(cut.updates())
        hosts.carry(LINK)
        began = time.monotonic()
        cut.wait(before + 1, processes)
        print(f"cut for {CUT} s after update {before}: goes on {time.monotonic() - began:.0f} s later")
        ended(processes, 0)
        for run in (slow, cut):
            if run.losses() != local.losses():
                sys.exit(f"{run.folder.name}: other losses than on one machine")

        lost = Run(command, folder / "lost")
        processes = hosts.start(lost, "--process-timeout", str(PATIENCE))
        lost.wait(10, processes)
        hosts.carry(["blackhole"])
        began, ends = time.monotonic(), {}
        while len(ends) < 2 and time.monotonic() - began < 4 * PATIENCE:
            for rank, process in enumerate(processes):
                if process.poll() is not None:
                    ends.setdefault(rank, time.monotonic() - began)
            time.sleep(0.05)
        for process in processes:
            if process.poll() is None:
                process.kill()
        if len(ends) < 2:
            sys.exit(f"cut for good: processes {sorted({0, 1} - set(ends))} had not ended after {4 * PATIENCE} s")
        for rank, said in enumerate(ended(processes, 1)):
            print(f"cut for good: process {rank} ended after {ends[rank]:.0f} s of {PATIENCE}: {said.strip().splitlines()[-1]}")
            if f"process {1 - rank}" not in said:
                sys.exit(f"process {rank} does not name the one it has lost:\n{said}")

        hosts.carry(LINK)
        measure(command, folder, hosts)


if __name__ == "__main__":
    main()
