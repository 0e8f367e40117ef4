"""Mutates safetensors and torch files and runs `inspect` and `forward` on them: no crash, no hang, status 0 or 2.

    python Tests/Peers/checks/fuzz.py [--command .build/release/cascade-adapt] [--cases 5000] [--seed 1]

Nine in ten files go through `inspect --json --tensors`, twenty-five to a process (it goes on behind a file that it
cannot read); a process that ends strangely has its files tried one by one. The others are weights of `forward
previewer`. Pickles are mutated by bytes, by opcodes, and by swapping in names that would run code: what such a name
would make is looked for afterwards."""

import argparse
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import save, save_file

from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
from previewer import Previewer

LIMIT = 10  # s
GLOBALS = [b"cos\nsystem\n", b"cposix\nsystem\n", b"cbuiltins\nexec\n", b"csubprocess\nPopen\n", b"ctorch\nload\n"]
OPCODES = bytes(range(0x80, 0x99)) + b"(.012FIJKLMNPQRSTUVXabcdeghijlopqrstu)]}BCG"


def seeds(folder: pathlib.Path) -> list[bytes]:
    """Weights of one small previewer in every format."""
    torch.manual_seed(1)
    state = Previewer(4, 8, 3).state_dict()
    extra = state | {"half": torch.randn(3).half().expand(2, 3), "turned": torch.randn(2, 3).t()}
    result = [save(state), save({"x": torch.zeros(2)}, {"format": "pt"})]
    for tensors in (state, {"state_dict": extra, "epoch": 3, "list": [1.5, None, True, "text"]}):
        for protocol in (2, 4):
            for is_zip in (True, False):
                path = folder / "seed.pt"
                torch.save(tensors, path, pickle_protocol=protocol, _use_new_zipfile_serialization=is_zip)
                result.append(path.read_bytes())
    result.append(b'{"weight_map": {"a": "seed.safetensors"}}')
    return result


def mutate(whole: bytes, random: random.Random, trap: str) -> bytes:
    data = bytearray(whole)
    # The structure is at the front of every format but zip, whose directory is at the end.
    spots = [len(data), min(len(data), 4096), min(len(data), 400)]

    def place() -> int:
        at = random.randrange(random.choice(spots))
        return len(data) - 1 - at if random.random() < 0.25 else at

    for _ in range(random.choice([1, 1, 2, 4, 16])):
        if not data:
            break
        kind = random.randrange(8)
        at = place() % len(data)
        if kind == 0:
            data[at] = random.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << random.randrange(8)
        elif kind == 2:
            data[at] = random.choice(OPCODES)
        elif kind == 3:
            end = min(len(data), at + random.choice([1, 2, 4, 8]))
            data[at:end] = random.choice([b"\0", b"\xff", b"\x7f"]) * (end - at)
        elif kind == 4:
            del data[at : at + random.choice([1, 2, 8, 64, 1024])]
        elif kind == 5:
            start = place() % len(data)
            data[at:at] = data[start : start + random.choice([1, 4, 32, 256])]
        elif kind == 6:
            data[at : at + 1] = random.choice([b"9" * 19, b"-1", b"[[[[", b"1e999", b'"', b"{}"])
        else:
            names = [i for i in range(len(data)) if data[i : i + 7] == b"ctorch\n" or data[i : i + 2] == b"cc"]
            at = random.choice(names) if names else at
            call = random.choice(GLOBALS) + b"(X" + len(trap).to_bytes(4, "little") + trap.encode() + b"tR"
            data[at:at] = call
    if random.random() < 0.1:
        del data[random.randrange(len(data) + 1) :]
    return bytes(data)


def status(command: list[str]) -> int | str:
    try:
        return subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=LIMIT + len(command) // 10
        ).returncode
    except subprocess.TimeoutExpired:
        return "hang"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=".build/release/cascade-adapt")
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    counts: dict[str, int] = {}
    failures = 0

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        trap = folder / "trap"
        originals = seeds(folder)
        save_file({"latents": torch.randn(1, 4, 2, 2)}, folder / "in.safetensors")
        (folder / "arch.yaml").write_text("c_in: 4\nc_hidden: 8\nc_out: 3\n")

        def forward(path: pathlib.Path) -> list[str]:
            return [
                options.command, "forward", "previewer", "--weights", str(path), "--arch", str(folder / "arch.yaml"),
                "--inputs", str(folder / "in.safetensors"), "--outputs", str(folder / "out.safetensors"),
            ]  # fmt: skip

        def inspect(paths: list[pathlib.Path]) -> list[str]:
            return [options.command, "inspect", "--json", "--tensors", *map(str, paths)]

        def check(what: str, result: int | str, paths: list[pathlib.Path]) -> None:
            nonlocal failures
            counts[f"{what} {result}"] = counts.get(f"{what} {result}", 0) + len(paths)
            if result in (0, 2):
                return
            failures += 1
            for path in paths:
                kept = pathlib.Path(f"fuzz-{options.seed}-{failures}-{path.name}")
                kept.write_bytes(path.read_bytes())
                print(f"{what} ended with {result}: {kept}", file=sys.stderr)

        batch: list[pathlib.Path] = []
        for case in range(options.cases):
            path = folder / f"case{case}"
            path.write_bytes(mutate(rng.choice(originals), rng, f"touch {trap}"))
            if case % 10 == 9:
                check("forward", status(forward(path)), [path])
                path.unlink()
            else:
                batch.append(path)
            if len(batch) == 25 or case == options.cases - 1:
                if status(inspect(batch)) in (0, 2):
                    check("inspect", 2, batch)
                else:
                    for path in batch:
                        check("inspect", status(inspect([path])), [path])
                for path in batch:
                    path.unlink()
                batch = []
        if trap.exists():
            failures += 1
            print("code of a pickle was run", file=sys.stderr)
    print(f"{options.cases} cases: {counts}, {failures} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
