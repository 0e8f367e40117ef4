"""Trains one run on two hosts made of network namespaces, with 100 Mbit/s and 20 ms each way between them: `make hosts`, as root.

    python Tests/Peers/checks/hosts.py [--command .build/release/cascade-adapt]

The same LoRA run of the miniature three times: over the slow link, with packets lost for 20 seconds, and with all packets
lost from an update on. The first two have to come to the very losses of two processes on one machine. The last has to end
on both hosts soon after the time that processes wait for one another, each naming the process that it has lost. Then a few
updates of a whole stage, whose gradients are sent while the backward pass goes on, and what two and four processes send is held
against what `plan --processes` says, with the base in each of them and shared out (`use_fsdp`). Needs the images that `make demo`
draws, and Debian's iproute2."""

import argparse
import collections
import ctypes
import fcntl
import json
import math
import os
import pathlib
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

from safetensors import safe_open

ROOT = pathlib.Path(__file__).resolve().parents[3]
UPDATES = 30
# For how long the link loses everything, and how long processes wait for one another where it does so for good, in seconds.
CUT, PATIENCE = 20, 15
LINK = ["tbf", "rate", "100mbit", "burst", "64kb", "latency", "50ms"]
DELAY = 0.02
# Six megabytes of weights: its gradients are several messages.
WHOLE = {
    "updates": 6, "batch_size": 8, "webdataset_path": "file:.demo/data/train-00.tar", "cache_dir": "null",
    "effnet_checkpoint_path": "examples/miniature/effnet.safetensors",
    "previewer_checkpoint_path": "examples/miniature/previewer.safetensors",
    "clip_text_model_name": "examples/miniature/clip-text", "clip_image_model_name": "examples/miniature/clip-image",
}  # fmt: skip


def open_tunnel(namespace: str, link: str) -> int:
    """A network interface in a namespace whose packets are read and written as a file."""
    libc = ctypes.CDLL(None, use_errno=True)
    own, other = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(other, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        tunnel = os.open("/dev/net/tun", os.O_RDWR)
        without_header, layer_three, set_interface = 0x1000, 1, 0x400454CA
        fcntl.ioctl(tunnel, set_interface, struct.pack("16sH22x", link.encode(), layer_three | without_header))
        return tunnel
    finally:
        libc.setns(own, 0)
        os.close(own)
        os.close(other)


class Relay(threading.Thread):
    """Carries packets from each of two tunnels to the other, later by DELAY."""

    def __init__(self, tunnels: list[int]) -> None:
        super().__init__(daemon=True)
        self.towards = dict(zip(tunnels, reversed(tunnels), strict=True))
        self.is_done = threading.Event()

    def run(self) -> None:
        under_way = collections.deque()
        while not self.is_done.is_set():
            rest = under_way[0][0] - time.monotonic() if under_way else 0.1
            ready, _, _ = select.select(list(self.towards), [], [], max(0, min(rest, 0.1)))
            for tunnel in ready:
                under_way.append((time.monotonic() + DELAY, self.towards[tunnel], os.read(tunnel, 1 << 16)))
            while under_way and under_way[0][0] <= time.monotonic():
                _, tunnel, packet = under_way.popleft()
                os.write(tunnel, packet)
        for tunnel in self.towards:
            os.close(tunnel)


class Hosts:
    """Two namespaces with a link between them."""

    def __init__(self) -> None:
        self.names = [f"cascade-{os.getpid()}-{end}" for end in "ab"]
        self.links = [f"cl{os.getpid()}{end}" for end in "ab"]

    def __enter__(self) -> "Hosts":
        for name in self.names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        self.relay = Relay([open_tunnel(name, link) for name, link in zip(self.names, self.links, strict=True)])
        for index, (name, link) in enumerate(zip(self.names, self.links, strict=True)):
            for words in (f"addr add 10.77.0.{index + 1}/24 dev {link}", "link set lo up", f"link set {link} up"):
                subprocess.run(["ip", "-n", name, *words.split()], check=True)
        self.carry(LINK)
        self.relay.start()
        return self

    def __exit__(self, *_) -> None:
        self.relay.is_done.set()
        self.relay.join()
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
    """A run of the miniature in a folder of its own."""

    def __init__(
        self, command: pathlib.Path, folder: pathlib.Path, more: dict | None = None, recipe: str = "lora", file: str = "fernando.yaml"
    ):
        self.folder = folder
        settings = {
            "experiment_id": "run", "checkpoint_path": folder, "output_path": folder / "output", "updates": UPDATES,
            "save_every": 5, "preview_steps": 0, "dropout": 0.1, "loss_weight": "adaptive",
        } | (more or {})  # fmt: skip
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        configuration = [str(ROOT / "examples/miniature" / file), "--threads", "1", *sets]
        self.words, self.planning = [str(command), recipe, *configuration], [str(command), "plan", *configuration]

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


def compare(command: pathlib.Path, folder: pathlib.Path, hosts: Hosts, what: str, *more) -> Run:
    """One run by two processes on this machine, and on the two hosts, which have to come to the same losses."""
    local, slow = (Run(command, folder / f"{what} {where}", *more) for where in ("local", "slow"))
    words = [*local.words, "--processes", "2"]
    ended([subprocess.Popen(words, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)], 0)
    ended(hosts.start(slow), 0)
    seconds = [statistics.median(update["seconds"] for update in run.updates()) for run in (local, slow)]
    print(f"{what}: {seconds[0]:.3f} s an update on one machine, {seconds[1]:.3f} s on two hosts", flush=True)
    if slow.losses() != local.losses():
        sys.exit(f"{what}: other losses than on one machine")
    return local


def base_bytes() -> tuple[int, int]:
    """Of the miniature's Stage C in float32: all, and its largest block, a residual block with the two behind it."""
    blocks = collections.Counter()
    with safe_open(ROOT / "examples/miniature/stage_c.safetensors", "numpy") as file:
        for key in file.keys():
            path = key.split(".")
            place = (*path[:2], int(path[2]) // 3) if path[0].endswith("_blocks") else path[0]
            blocks[place] += 4 * math.prod(file.get_slice(key).get_shape())
    return sum(blocks.values()), max(blocks.values())


def measure(command: pathlib.Path, folder: pathlib.Path, hosts: Hosts) -> None:
    """What processes send an update, beside what a plan says, and the tensors that they hold. Those that share the base may hold
    what the others do but for the rest of the base, and two blocks."""
    base, block = base_bytes()
    held, missed = {}, []
    print("| base | processes | sent by each | planned | of tensors, the most of a process | bar |\n|---|---|---|---|---|---|")
    for is_shared in (False, True):
        for count in (2, 4):
            keys = {"use_fsdp": is_shared, "updates": 10, "gradient_checkpointing": True}
            run = Run(command, folder / f"sent-{is_shared}-{count}", keys)
            before = hosts.carried()
            inside = ["ip", "netns", "exec", hosts.names[0], *run.words, "--processes", str(count)]
            ended([subprocess.Popen(inside, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)], 0)
            sent = (hosts.carried() - before) / count / 10
            words = [*run.planning, "--processes", str(count), "--json"]
            plan = json.loads(subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout)["processes"]
            report = (run.folder / "output/run/report.html").read_text()
            tensors = held[is_shared, count] = max(map(float, re.findall(r"at most ([0-9.]+) MB of tensors", report)))
            what = "shared out" if is_shared else "in each"
            bar = held[False, count] - (base * (1 - 1 / count) - 2 * block) / 1e6 if is_shared else None
            print(
                f"| {what} | {count} | {sent / 1e6:.2f} MB | {plan['sent_bytes'] / 1e6:.2f} MB | {tensors:.1f} MB "
                f"| {f'{bar:.1f} MB' if bar else ''} |", flush=True,
            )  # fmt: skip
            if not 0.9 < sent / plan["sent_bytes"] < 1.25:
                sys.exit("a plan says something else than what is sent")
            if bar and tensors > bar:
                missed.append(f"{count} processes that share the base hold {tensors:.2f} MB of tensors, the bar is {bar:.2f} MB")
    if missed:
        sys.exit("\n".join(missed))


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
        local = compare(command, folder, hosts, "LoRA")
        compare(command, folder, hosts, "whole stage", WHOLE, "finetune", "stage_c_train.yaml")

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
        if cut.losses() != local.losses():
            sys.exit("cut: other losses than on one machine")

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
