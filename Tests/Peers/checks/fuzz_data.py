"""Damages tars and the images in them and runs `dataset inspect` on the result: no crash, no hang, every healthy sample
delivered, every lost one counted.

    python Tests/Peers/checks/fuzz_data.py [--command .build/release/cascade-adapt] [--cases 3000] [--seed 1]

Every case is one shard that begins with healthy samples, whose records nothing touches. In half of the cases the damage
is inside one image or one text, and healthy samples follow: then the counts must be exact. In the others it is in the
tar itself (records, names, links, sparse and pax entries, sizes that lie, compression), and at least the samples before
it must come. Of those that Python's tarfile reads to the end as well, none may be missing.

Cases of the first half run ten to a process; where that ends strangely or counts wrongly they are tried one by one.
Address space and time are bounded, and the folders around are looked at afterwards: reading writes nothing."""

import argparse
import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import random
import resource
import subprocess
import sys
import tarfile
import tempfile

import numpy
from PIL import Image

MEMORY = 4 << 30  # bytes of address space
SECONDS = 10  # for a process, and a half more for each of its cases
BATCH = 20
BLOCK = 512
FORMATS = [("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("jpeg", "JPEG")]


def images(rng: numpy.random.Generator) -> list[tuple[str, bytes]]:
    """Small images of every kind that is read."""
    result = []
    for width, height in [(64, 48), (33, 70), (8, 8)]:
        pixels = rng.integers(0, 256, (height, width, 4), dtype=numpy.uint8)
        for ending, name in FORMATS:
            options: list[tuple[str, dict]] = [("RGB", {})]
            if name == "JPEG":
                exif = Image.Exif()
                exif[0x0112] = 6
                options += [("L", {}), ("CMYK", {}), ("RGB", {"progressive": True}), ("RGB", {"exif": exif})]
            if name == "PNG":
                options += [("RGBA", {}), ("L", {}), ("P", {}), ("1", {}), ("I;16", {})]
            if name == "WEBP":
                options += [("RGBA", {"lossless": True})]
            for mode, more in options:
                if mode == "I;16":
                    image = Image.fromarray(pixels[..., 0].astype(numpy.uint16) * 257)
                else:
                    image = Image.fromarray(pixels).convert("RGBA" if mode == "RGBA" else "RGB").convert(mode)
                out = io.BytesIO()
                image.save(out, name, **more)
                result.append((ending, out.getvalue()))
    return result


def record(name: str, content: bytes, **fields) -> bytes:
    """A member's header and content in whole blocks; `fields` are TarInfo's, and `declared` a size that lies."""
    form = fields.pop("form", tarfile.USTAR_FORMAT)
    info = tarfile.TarInfo(name)
    info.size = fields.pop("declared", len(content))
    for key, value in fields.items():
        setattr(info, key, value)
    header = info.tobuf(form, "utf-8", "surrogateescape")
    return header + content + b"\0" * (-len(content) % BLOCK)


def checksummed(header: bytearray) -> bytearray:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:BLOCK])
    return header


def sample(key: str, image: tuple[str, bytes]) -> bytes:
    return record(f"{key}.{image[0]}", image[1]) + record(f"{key}.txt", f"caption of {key}".encode())


def mutated(whole: bytes, rng: random.Random) -> bytes:
    """Flips, cuts, fills, doublings and moves of bytes, mostly near the front."""
    data = bytearray(whole)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        if not data:
            break
        at = rng.randrange(rng.choice([len(data), min(len(data), 256), min(len(data), 40)]))
        kind = rng.randrange(8)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            end = min(len(data), at + rng.choice([1, 2, 4, 8, 64]))
            data[at:end] = rng.choice([b"\0", b"\xff", b"\x7f"]) * (end - at)
        elif kind == 3:
            del data[at : at + rng.choice([1, 2, 8, 64, 1024])]
        elif kind == 4:
            start = rng.randrange(len(data))
            data[at:at] = data[start : start + rng.choice([1, 4, 32, 256])]
        elif kind == 5:
            del data[rng.randrange(len(data)) :]
        elif kind == 6:
            data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\1\0\0"])
        else:
            start = rng.randrange(len(data))
            data[at : at + 32] = whole[start : start + 32]
    return bytes(data)


def pax(fields: list[tuple[str, str]], kind: bytes = b"x") -> bytes:
    """A pax header, its lengths right."""
    body = b""
    for key, value in fields:
        rest = f" {key}={value}\n".encode("utf-8", "surrogateescape")
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length = len(str(length)) + len(rest)
        body += str(length).encode() + rest
    return record("PaxHeaders/x", body, type=kind)


def oddities(rng: random.Random, image: tuple[str, bytes], trap: str) -> bytes:
    """Records that are there to do harm."""
    name, content = f"odd.{image[0]}", image[1]
    huge = rng.choice([1 << 31, 1 << 33, (1 << 62) - 1, 8**11 - 1])
    kinds = [
        lambda: record(f"../{trap}.jpg", content) + record(f"../{trap}.txt", b"x"),
        lambda: record(f"/tmp/{trap}.jpg", content) + record(f"/tmp/{trap}.txt", b"x"),
        lambda: record("odd.jpg", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        lambda: record("odd.jpg", b"", type=tarfile.LNKTYPE, linkname="healthy0.jpg"),
        lambda: record("odd.txt", b"", type=tarfile.SYMTYPE, linkname=f"../{trap}"),
        lambda: record("odd.txt", b"", type=rng.choice([tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])),
        lambda: record("odd", b"", type=tarfile.DIRTYPE, mode=0),
        lambda: record(name, content, declared=huge, form=tarfile.GNU_FORMAT),
        lambda: record(name, b"", declared=huge, form=tarfile.GNU_FORMAT),
        lambda: pax([("size", str(huge))]) + record(name, content),
        lambda: pax([("size", rng.choice(["-1", "x", "9" * 40, ""]))]) + record(name, content),
        lambda: pax([("path", "a/" * rng.choice([10, 1000, 100000]) + "odd.jpg")]) + record(name, content),
        lambda: pax([(f"SCHILY.xattr.user.{i}", "v" * 100) for i in range(rng.choice([10, 1000, 20000]))])
        + record(name, content),
        lambda: pax([("comment", "c" * rng.choice([1, 1 << 16, 1 << 22]))], rng.choice([b"x", b"g"]))
        + record(name, content),
        lambda: b"".join(pax([("path", "odd.jpg")]) for _ in range(rng.choice([2, 100]))) + record(name, content),
        lambda: record("././@LongLink", b"n" * rng.choice([100, 5000, 1 << 20]) + b"\0", type=b"L")
        + record(name, content),
        lambda: record("././@LongLink", b"", type=b"L", declared=huge, form=tarfile.GNU_FORMAT),
        lambda: pax(
            [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", name)]
            + [("GNU.sparse.realsize", str(huge))]
        )
        + record(name, f"1\n{huge - 512}\n512\n".encode().ljust(BLOCK, b"\0") + b"s" * BLOCK),
        lambda: pax(
            [("GNU.sparse.size", str(huge)), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", f"0,{len(content)}")]
        )
        + record(name, content),
        lambda: sparse(name, content, huge),
        lambda: record("\udcff\udcfe.jpg", content) + record("\udcff\udcfe.txt", b"x"),
        lambda: record("", content) + record(".", content) + record(".jpg", content) + record("a.", content),
        lambda: record("healthy0.jpg", content) + record("healthy0.jpg", content),
    ]
    return rng.choice(kinds)()


def sparse(name: str, content: bytes, size: int) -> bytes:
    """GNU's old sparse header: one stretch of data, and a file that says to be of any size."""
    block = bytearray(record(name, content, type=b"S", form=tarfile.GNU_FORMAT))

    def octal(number: int) -> bytes:
        return b"%011o\0" % number if number < 8**11 else b"\x80" + number.to_bytes(11, "big")

    block[386:398] = octal(0)
    block[398:410] = octal(len(content))
    block[483:495] = octal(size)
    return bytes(checksummed(block[:BLOCK])) + bytes(block[BLOCK:])


class Case:
    """A shard, and what must come of it."""

    def __init__(self, number: int, rng: random.Random, stock: list[tuple[str, bytes]], trap: str):
        self.healthy: dict[str, tuple[str, bytes]] = {}

        def healthy(count: int, name: str) -> bytes:
            keys = [f"{name}{i}" for i in range(count)]
            self.healthy |= {key: rng.choice(stock) for key in keys}
            return b"".join(sample(key, self.healthy[key]) for key in keys)

        before, after = rng.randrange(1, 4), rng.randrange(1, 4)
        head, tail = healthy(before, "healthy"), healthy(after, "after")
        end = b"\0" * (2 * BLOCK)
        ending, image = rng.choice(stock)
        # How many samples must be kept, at least and at most; and how many there must be, where that is certain.
        self.kept = (before, 1 << 30)
        self.samples: int | None = None
        self.suffix = "tar"
        if number % 2 == 0:
            if rng.random() < 0.8:
                odd = record(f"odd.{ending}", mutated(image, rng)) + record("odd.txt", b"x")
            else:
                odd = record(f"odd.{ending}", image) + record("odd.txt", mutated("caf\u00e9 au lait".encode(), rng))
            self.data = head + odd + tail + end
            # The damaged one may still be readable.
            self.samples = before + 1 + after
            self.kept = (before + after, before + 1 + after)
            return
        kind = rng.randrange(6)
        if kind == 0:
            self.data = head + mutated(sample("odd", (ending, image)) + tail + end, rng)
        elif kind == 1:
            self.data = head + oddities(rng, (ending, image), trap) + tail + end
        elif kind == 2:
            self.data = head + mutated(oddities(rng, (ending, image), trap), rng) + tail + end
        elif kind == 3:
            header = bytearray(record(f"odd.{ending}", image))
            start, stop = rng.choice([(0, 100), (124, 136), (136, 148), (156, 157), (157, 257), (257, 265), (345, 500)])
            for at in range(start, min(stop, start + rng.choice([1, 4, 100]))):
                header[at] = rng.choice([0, 0xFF, 0x80, 0x2F, 0x37, rng.randrange(256)])
            self.data = head + bytes(checksummed(header[:BLOCK])) + bytes(header[BLOCK:]) + tail + end
        elif kind == 4:
            whole = head + tail
            self.data = head + tail[: rng.randrange(len(tail))]
            assert len(self.data) < len(whole)
        else:
            name, pack = rng.choice([("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zst", zstd)])
            packed = pack(head + tail + end)
            self.data = mutated(packed, rng)
            self.suffix = f"tar.{name}"
            # A compressed stream has no untouched part.
            self.kept = (before + after, before + after) if self.data == packed else (0, before + after)

    def wrong(self, report: dict) -> str | None:
        dropped = sum(report["dropped"].values())
        if report["samples"] != report["kept"] + dropped:
            return f"{report['samples']} samples, but {report['kept']} kept and {dropped} dropped"
        if not self.kept[0] <= report["kept"] <= self.kept[1]:
            return f"kept {report['kept']}, not {self.kept}"
        if self.samples is not None and report["samples"] != self.samples:
            return f"{report['samples']} samples, not {self.samples}"
        if self.samples is not None and report["broken"]:
            return f"the shard is whole, but {report['broken']}"
        missing = self.reachable() - report["kept"]
        return f"{missing} samples that tarfile reads are missing" if missing > 0 else None

    def reachable(self) -> int:
        """Healthy samples behind the damage that Python's tarfile reads too, where it reads to the end."""
        if self.suffix != "tar":
            return 0
        try:
            with tarfile.open(fileobj=io.BytesIO(self.data), errorlevel=2, errors="surrogateescape") as tar:
                contents = {}
                end = 0
                for member in tar:
                    # libarchive refuses headers over a mebibyte, and the shard ends there.
                    if member.offset_data - end > 1 << 20:
                        break
                    end = member.offset_data + member.size
                    if member.name.startswith(("healthy", "after")) and member.isreg() and member.size < 1 << 20:
                        contents.setdefault(member.name, tar.extractfile(member).read())
        except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, MemoryError):
            return 0

        def is_whole(key: str, ending: str, image: bytes) -> bool:
            text = contents.get(f"{key}.txt")
            return contents.get(f"{key}.{ending}") == image and text == f"caption of {key}".encode()

        return sum(is_whole(key, *image) for key, image in self.healthy.items())


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def run(command: list[str], folder: pathlib.Path, count: int) -> tuple[int | str, dict | None, int]:
    """Status, report and the peak of resident memory in bytes."""

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder, preexec_fn=bounded
    )
    try:
        out, _ = process.communicate(timeout=SECONDS + count // 2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "hang", None, 0
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    try:
        return process.returncode, json.loads(out), peak
    except ValueError:
        return process.returncode, None, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=".build/release/cascade-adapt")
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    stock = images(numpy.random.default_rng(options.seed))
    command = str(pathlib.Path(options.command).resolve())
    counts: dict[str, int] = {}
    failures = 0
    peak = 0

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "work"
        folder.mkdir()
        trap = f"cascade-adapt-trap-{os.getpid()}"
        outside = [pathlib.Path(name) / f"{trap}.{ending}" for ending in ("jpg", "txt")]
        outside += [pathlib.Path("/tmp") / f"{trap}.{ending}" for ending in ("jpg", "txt")]

        def inspect(cases: list[tuple[pathlib.Path, Case]]) -> tuple[int | str, dict | None]:
            nonlocal peak
            paths = [str(path) for path, _ in cases]
            status, report, memory = run([command, "dataset", "inspect", *paths, "--json", "--quiet"], folder, len(paths))
            peak = max(peak, memory)
            return status, report

        def alone(path: pathlib.Path, case: Case) -> None:
            nonlocal failures
            status, report = inspect([(path, case)])
            counts[str(status)] = counts.get(str(status), 0) + 1
            problem = case.wrong(report) if status == 0 and report else None
            if status in (0, 2) and not problem:
                return
            failures += 1
            kept = pathlib.Path(f"fuzz-{options.seed}-{path.name}")
            kept.write_bytes(case.data)
            print(f"{kept}: {problem or f'ended with {status}'}", file=sys.stderr)

        for start in range(0, options.cases, BATCH):
            batch = []
            for number in range(start, min(start + BATCH, options.cases)):
                case = Case(number, rng, stock, trap)
                path = folder / f"case{number}.{case.suffix}"
                path.write_bytes(case.data)
                batch.append((path, case))
            # Of tars that are whole the sums over several tell whether one is wrong.
            whole = [(path, case) for path, case in batch if case.samples is not None]
            status, report = inspect(whole)
            if status == 0 and report and right(whole, report):
                counts["0"] = counts.get("0", 0) + len(whole)
                left = [entry for entry in batch if entry not in whole]
            else:
                left = batch
            for path, case in left:
                alone(path, case)
            there = {path.name for path, _ in batch}
            extra = [path for path in folder.iterdir() if path.name not in there] + [p for p in outside if p.exists()]
            if extra:
                failures += 1
                print(f"written outside: {extra}", file=sys.stderr)
            for path, _ in batch:
                path.unlink()
    print(f"{options.cases} cases: {counts}, {failures} failures, at most {peak >> 20} MiB")
    sys.exit(1 if failures else 0)


def right(group: list[tuple[pathlib.Path, Case]], report: dict) -> bool:
    """Whether the sums over whole tars are as they must be."""
    cases = [case for _, case in group]
    least, most = sum(case.kept[0] for case in cases), sum(case.kept[1] for case in cases)
    return (
        report["samples"] == report["kept"] + sum(report["dropped"].values())
        and report["samples"] == sum(case.samples for case in cases)
        and least <= report["kept"] <= most
        and not report["broken"]
    )


if __name__ == "__main__":
    main()
