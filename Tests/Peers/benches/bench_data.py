"""Times images from tars to batches, ours and webdataset with torchvision's transforms, in alternated pairs.

    python Tests/Peers/benches/bench_data.py [FOLDER] [--photographs FOLDER] [--command .build/release/cascade-bench]
        [--ours '{command} data {tars} --size {size} …'] [--pairs 5] [--cores 1 2] [--count 1000] [--size 768]

FOLDER (.bench/data) keeps the tars from one time to the next: `count` JPEG files of 1024 x 1024, quality 90, cut from the
photographs given or those that `make tiny` has gathered, else drawn with a photograph's spectrum. `--ours` is the command
line to time; it prints a JSON line with `seconds` and `images`, and may name {tars}, {size}, {batch}, {count} and
{cores}. Add --full there to decode every JPEG whole.

Both make batches of four [4, 3, 768, 768] float32 of every image. The peer decodes with Pillow, then ToTensor, Resize
(bilinear, antialias) and CenterCrop, in as many workers of torch's DataLoader as is fastest on so many cores, tried first.
Memory is the sum of PSS over the whole tree of processes. A speed above 1 means ours is faster; a memory below 1 means
ours is leaner. First both make the same images of some of the files, and the differences are printed."""

import argparse
import io
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

SIDE, BATCH, SHARDS = 1024, 4, 8


# The images


def drawn(number: int):
    """An image whose spectrum falls as a photograph's does, one over the frequency, with a few hard edges."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(number)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    frequency[0, 0] = 1
    grey, *tint = (np.fft.irfft2(np.fft.rfft2(random.normal(size=(SIDE, SIDE))) / frequency**1.1) for _ in range(4))
    planes = np.stack([grey / grey.std() + 0.4 * t / t.std() for t in tint], -1) * 40 + 127
    for _ in range(6):
        x, y, w, h = random.integers(0, SIDE // 2, 4)
        planes[y : y + h, x : x + w] = 0.5 * planes[y : y + h, x : x + w] + 0.5 * random.integers(0, 256, 3)
    return Image.fromarray(np.clip(planes, 0, 255).astype(np.uint8))


def cut(path: pathlib.Path, number: int):
    """A square of a photograph, another one for each number, with as many pixels of its own as it has."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(number)
    image = Image.open(path).convert("RGB")
    side = int(min(image.size) * random.uniform(0.7, 1))
    x, y = (int(random.integers(0, length - side + 1)) for length in image.size)
    image = image.crop((x, y, x + side, y + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image


def prepare(folder: pathlib.Path, photographs: list[pathlib.Path], count: int) -> list[pathlib.Path]:
    """The tars, written where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = "photographs" if photographs else "drawn"
    tars = [folder / f"{kind}-{count}-{shard}.tar" for shard in range(SHARDS)]
    for shard, tar in enumerate(tars):
        if tar.exists():
            continue
        partial = tar.with_suffix(".partial")
        with tarfile.open(partial, "w") as out:
            for number in range(shard, count, SHARDS):
                image = cut(photographs[number % len(photographs)], number) if photographs else drawn(number)
                data = io.BytesIO()
                image.save(data, "JPEG", quality=90)
                for ending, content in (("jpg", data.getvalue()), ("txt", b"an image")):
                    member = tarfile.TarInfo(f"{number:06}.{ending}")
                    member.size = len(content)
                    out.addfile(member, io.BytesIO(content))
        partial.rename(tar)
    return tars


# The peer


def transformed(size: int):
    from torchvision import transforms

    return transforms.Compose([
        transforms.ToTensor(),
        transforms.Resize(size, transforms.InterpolationMode.BILINEAR, antialias=True),
        transforms.CenterCrop(size),
    ])


def peer(tars: list[str], size: int, workers: int) -> dict:
    import torch
    import webdataset

    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // max(1, workers)))
    transform = transformed(size)
    dataset = (
        webdataset.WebDataset(tars, shardshuffle=False)
        .decode("pilrgb").to_tuple("jpg").map_tuple(transform).batched(BATCH, partial=False)
    )
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=workers)
    begun = time.perf_counter()
    images = 0
    for (batch,) in loader:
        assert batch.shape == (BATCH, 3, size, size) and batch.dtype == torch.float32
        images += len(batch)
    return {"seconds": time.perf_counter() - begun, "images": images}


def differences(ours: str, tars: list[pathlib.Path], size: int) -> tuple[float, float]:
    """The largest and the mean difference between our images and the peer's, in 255ths."""
    import torch
    from PIL import Image
    from torchvision.transforms.functional import to_tensor

    transform = transformed(size)
    with tempfile.TemporaryDirectory() as folder:
        run = shlex.split(ours) + ["--output", folder]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        largest, means = 0.0, []
        with tarfile.open(tars[0]) as tar:
            for member in (m for m in tar if m.name.endswith(".jpg")):
                theirs = transform(Image.open(tar.extractfile(member)).convert("RGB"))
                mine = to_tensor(Image.open(pathlib.Path(folder) / member.name.replace(".jpg", ".png")))
                difference = (torch.round(theirs * 255) - mine * 255).abs()
                largest = max(largest, difference.max().item())
                means.append(difference.mean().item())
    return largest, statistics.mean(means)


# Timing


def children(of: int) -> list[int]:
    """A process and all that it started."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                pass
    tree = [of]
    for process in tree:
        tree += [child for child, parent in parents.items() if parent == process]
    return tree


def memory(of: int) -> int:
    """Bytes of PSS (RSS where the system keeps no PSS) of a process and all that it started."""
    total = 0
    for process in children(of):
        for name, field in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
            try:
                text = pathlib.Path(f"/proc/{process}/{name}").read_text()
            except OSError:
                continue
            found = [int(line.split()[1]) for line in text.splitlines() if line.startswith(field)]
            if found:
                total += found[0] * 1024
                break
    return total


def report(command: list[str], cores: int) -> dict:
    """What the program says, and the most memory that its processes had together."""
    pinned = ["taskset", "-c", ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores])), *command]
    environment = {**os.environ, "OMP_NUM_THREADS": str(cores)}
    run = subprocess.Popen(pinned, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    peak, done = 0, threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, memory(run.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    said, complaint = run.communicate()
    done.set()
    watcher.join()
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {run.returncode}: {complaint[-800:]}")
    return {**json.loads(said.splitlines()[-1]), "peak": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, nargs="?", default=pathlib.Path(".bench/data"))
    parser.add_argument("--photographs", type=pathlib.Path, default=pathlib.Path(".tiny/photographs"))
    parser.add_argument("--command", default=".build/release/cascade-bench")
    parser.add_argument("--ours", default="{command} data {tars} --size {size} --batch {batch} --samples {count} --workers {cores} --float")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", type=int, default=768)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--peer", type=int, metavar="WORKERS", help="run the peer once in this process")
    options = parser.parse_args()
    endings = {".jpg", ".jpeg", ".png", ".webp"}
    photographs = sorted(p for p in options.photographs.glob("*") if p.suffix in endings)
    tars = prepare(options.folder, photographs, options.count)
    if options.peer is not None:
        print(json.dumps(peer([str(tar) for tar in tars], options.size, options.peer)))
        return

    def ours(cores: int) -> str:
        names = " ".join(shlex.quote(str(tar)) for tar in tars)
        return options.ours.format(
            command=options.command, tars=names, size=options.size, batch=BATCH, count=options.count, cores=cores)

    theirs = [sys.executable, __file__, str(options.folder), "--photographs", str(options.photographs)]
    theirs += ["--count", str(options.count), "--size", str(options.size), "--peer"]
    print(f"{options.count} images, {'photographs' if photographs else 'drawn'}, {SIDE} to {options.size}", flush=True)
    if options.ours.startswith("{command} "):
        images = f"{options.command} images {shlex.quote(str(tars[0]))} --size {options.size}"
        largest, mean = differences(images, tars, options.size)
        print(f"ours and the peer's differ by at most {largest:.0f}/255, on average {mean:.4f}/255", flush=True)
    for cores in options.cores:
        trials = {workers: report([*theirs, str(workers)], cores)["seconds"] for workers in range(cores + 1)}
        workers = min(trials, key=trials.get)
        rows = []
        for _ in range(options.pairs):
            rows.append((report(shlex.split(ours(cores)), cores), report([*theirs, str(workers)], cores)))
            assert rows[-1][0]["images"] == rows[-1][1]["images"], "not the same images"
        a, b = ([row[who]["images"] / row[who]["seconds"] for row in rows] for who in (0, 1))
        speeds = [row[1]["seconds"] / row[0]["seconds"] for row in rows]
        peaks = [max(row[who]["peak"] for row in rows) for who in (0, 1)]
        print(
            f"{cores} core{'s' * (cores > 1)}: ours {statistics.median(a):.1f} images/s {peaks[0] / 1e6:.0f} MB, peer "
            f"with {workers} workers {statistics.median(b):.1f} images/s {peaks[1] / 1e6:.0f} MB; speed "
            f"{statistics.median(speeds):.2f} ({min(speeds):.2f} to {max(speeds):.2f}) of the peer's, memory "
            f"{peaks[0] / peaks[1]:.3f} of the peer's", flush=True)


if __name__ == "__main__":
    main()
