"""Writes all goldens anew, each by its own script, and shows what differs: `make goldens`.

    .venv/bin/python Tests/Goldens/rewrite.py [NAME...]

Processors round differently, so a file counts as it was where its numbers moved by no more than 1e-4 of the largest beside them;
the old bytes are put back then. What the peer's autocast is off by differs by processor, and may be up to twice what it was; in
torch's old format the names of storages, which are addresses, may be others. Left out is write_reference_configs.py, which reads
the reference's own repository. Exits 1 where a script fails, or a file says something else."""

import collections
import io
import json
import pathlib
import re
import subprocess
import sys
import time

import numpy
from PIL import Image
from safetensors.torch import load

HERE = pathlib.Path(__file__).resolve().parent
FOREIGN = {"write_reference_configs.py"}
ROUNDING = 1e-4
# How far the peer is from itself in float32.
DISTANCE, OTHER_PROCESSOR = "out.autocast.", 0.5


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, check=True).stdout


def metadata(content: bytes) -> dict:
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})


def is_near(one, other) -> bool:
    """Whether two values of a document, or their texts, are alike but for the last digits of their numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_near(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_near, one, other))
    try:
        a, b = float(one), float(other)
    except (TypeError, ValueError):
        return one == other
    return a == b or abs(a - b) <= ROUNDING * max(abs(a), abs(b))


def is_as_it_was(name: str, old: bytes, new: bytes) -> bool:
    if name.endswith(".safetensors"):
        a, b = load(old), load(new)
        return is_near(metadata(old), metadata(new)) and a.keys() == b.keys() and all(
            a[key].shape == b[key].shape and a[key].dtype == b[key].dtype
            and (a[key].double() - b[key].double()).abs().max()
            <= (OTHER_PROCESSOR if key.startswith(DISTANCE) else ROUNDING) * max(a[key].double().abs().max(), b[key].double().abs().max())
            for key in a if a[key].numel() > 0 or b[key].numel() > 0
        )  # fmt: skip
    if name.endswith((".png", ".jpg", ".webp")):
        a, b = (numpy.asarray(Image.open(io.BytesIO(content))).astype(int) for content in (old, new))
        return a.shape == b.shape and bool((abs(a - b) <= 1).all())
    if "/legacy_" in name:
        # Storages lie in the order of their names.
        a, b = (collections.Counter(re.sub(rb"[0-9]{9,}", b"", content)) for content in (old, new))
        return a == b
    return name.endswith(".json") and is_near(json.loads(old), json.loads(new))


def main() -> None:
    scripts = sorted(path for path in HERE.glob("write_*.py") if path.name not in FOREIGN)
    if sys.argv[1:]:
        scripts = [HERE / f"write_{name}.py" for name in sys.argv[1:]]
    failed = []
    for script in scripts:
        began = time.monotonic()
        run = subprocess.run([sys.executable, script], cwd=HERE.parents[1], capture_output=True, text=True)
        print(f"{script.name}: {time.monotonic() - began:.0f} s", flush=True)
        if run.returncode:
            failed.append(script.name)
            print(run.stderr[-600:])
    root = pathlib.Path(git("rev-parse", "--show-toplevel").decode().strip())
    new = git("ls-files", "--others", "--exclude-standard", "--", ".").decode().split()
    changed, rounded = [f"{name} is new" for name in new], 0
    for name in git("diff", "--name-only", "--", ".").decode().split():
        if name.endswith(".py"):
            continue
        if is_as_it_was(name, git("show", f"HEAD:{name}"), (root / name).read_bytes()):
            git("checkout", "--", str(root / name))
            rounded += 1
        else:
            changed.append(name)
    print(f"{rounded} files differed by rounding alone, and are as they were")
    print("\n".join(changed) or "no golden says anything else")
    if failed or changed:
        sys.exit(f"failed: {', '.join(failed)}" if failed else 1)


if __name__ == "__main__":
    main()
