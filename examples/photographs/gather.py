#!/usr/bin/env python3
"""Gathers the tiny configurations' photographs from a Debian package that ships real ones.

    python3 examples/photographs/gather.py [FOLDER]        (FOLDER is .tiny unless given)

GCompris, a set of educational games, carries photographs of animals, monuments and musicians, each with its author,
source and licence beside it. They are taken from the package `gcompris-qt-data`, which apt downloads and checks, and
nothing is installed. captions.tsv names the images and says what they show.

Written below FOLDER:

    photographs/NAME.webp, NAME.txt       for training, the image's bytes as they are in the package
    held-out/NAME.webp, NAME.txt          every sixth photograph, never trained on
    dog/NAME.png, NAME.txt                one dog, in crops and mirrored, for `[fernando]`
    dog-held-out/NAME.png, NAME.txt       other crops of it
    CREDITS.md                            who took each image, under which licence
"""

import ctypes
import os
import shutil
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

PACKAGE = "gcompris-qt-data"
HERE = Path(__file__).resolve().parent
ACTIVITIES = "gcompris/src/activities/"
EVERY = 6  # one photograph in six is held out
FEWEST = 40  # below this many the figures of `make tiny` mean nothing

MISSPELT = {"germany/audaPalatina.webp": "germany/aulaPalatina.webp"}  # in the package's list of authors

DOG = "explore_farm_animals/resource/animals/dog.webp"
# Left, top, width, height in the 1024 x 768 image, and what is to be seen there. Each is also used mirrored.
CROPS = [
    ((0, 0, 1024, 768), "a photo of [fernando] in the grass"),
    ((100, 60, 924, 700), "a photo of [fernando] standing on a meadow"),
    ((256, 0, 768, 768), "a photo of [fernando] looking at the camera"),
    ((180, 0, 768, 768), "a photo of [fernando] outdoors"),
    ((340, 0, 640, 480), "a close photo of [fernando]"),
    ((480, 0, 544, 768), "a photo of the front half of [fernando]"),
    ((560, 0, 464, 464), "a portrait of [fernando] with the tongue out"),
    ((640, 0, 384, 384), "a photo of the head of [fernando]"),
    ((600, 10, 400, 520), "a photo of [fernando] wearing a collar"),
    ((700, 10, 260, 330), "a close portrait of [fernando]"),
]
CROPS_HELD_OUT = [
    ((60, 0, 900, 750), "a photo of [fernando] standing in the grass"),
    ((610, 0, 414, 400), "a portrait of [fernando]"),
]


class Trouble(Exception):
    """What failed, and on the second line what to do."""


# The package


def download(package, folder):
    """The package's file in `folder`, fetched by apt unless it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob(f"{package}_*.deb"))
    if found:
        return found[-1]
    root = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    command = ["apt-get", "-qq", *root, "download", package]
    said = ""
    for attempt in ("as it is", "after an update"):
        if attempt == "after an update" and root:
            subprocess.run(["apt-get", "-qq", "update"], check=False, stdin=subprocess.DEVNULL)
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        found = sorted(folder.glob(f"{package}_*.deb"))
        if done.returncode == 0 and found:
            return found[-1]
        said = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit status {done.returncode}"
    raise Trouble(
        f"`apt-get download {package}` failed: {said}\n"
        f"run `apt-get update` as root, or put {package}_*.deb into {folder}"
    )


def unpacked(deb, folder):
    """The package's resource files, unpacked below `folder` once."""
    where = folder / deb.stem
    if not where.exists():
        partial = folder / (deb.stem + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        done = subprocess.run(["dpkg-deb", "-x", str(deb), str(partial)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Trouble(f"{deb} cannot be unpacked: {done.stderr.strip()}\nremove it and start again")
        partial.rename(where)
    return sorted(where.glob("usr/share/gcompris-qt/rcc/*.rcc"))


def resources(path):
    """Path and bytes of every file in a Qt resource file (.rcc).

    A header (magic, version, offsets of tree, data and names), then a tree of nodes: name, flags, and either the
    children's count and first index or, for a file, the offset of its length and bytes. All numbers are big-endian.
    """
    whole = path.read_bytes()
    if whole[:4] != b"qres":
        raise Trouble(f"{path} is not a Qt resource file\nremove the folder of packages and start again")
    version, tree, data, names = struct.unpack_from(">4I", whole, 4)
    size = 22 if version >= 2 else 14  # a node also has a modification time since version 2

    def name(offset):
        length = struct.unpack_from(">H", whole, names + offset)[0]
        start = names + offset + 6
        return whole[start : start + 2 * length].decode("utf-16-be")

    waiting = [(0, "")]
    while waiting:
        index, folder = waiting.pop()
        node = tree + index * size
        name_offset, flags = struct.unpack_from(">IH", whole, node)
        here = folder + name(name_offset) if index else ""
        if flags & 2:
            count, first = struct.unpack_from(">II", whole, node + 6)
            waiting += [(child, here + "/" if here else "") for child in range(first, first + count)]
            continue
        offset = data + struct.unpack_from(">I", whole, node + 10)[0]
        length = struct.unpack_from(">I", whole, offset)[0]
        content = whole[offset + 4 : offset + 4 + length]
        if flags & 4:
            continue  # compressed with Zstandard, which images never are
        yield here, zlib.decompress(content[4:]) if flags & 1 else content


# The credits


def credits(text, folder):
    """What a README of the package says of each image in its folder: path -> (author, licence, source).

    Entries are separated by an empty line and made of `Field: value` lines in any order; file names follow `Files:`
    on the same line or on lines of their own.
    """
    found = {}
    for entry in text.split("\n\n"):
        fields, files = {}, []
        for line in entry.splitlines():
            field, colon, value = line.partition(":")
            if colon and field in ("Copyright", "License", "Source", "Files", "Comments"):
                fields[field] = value.strip()
                line = value if field == "Files" else ""
            files += [MISSPELT.get(word, word) for word in line.split() if word.endswith(".webp")]
        for file in files:
            found[folder + file] = tuple(fields.get(key, "not said") for key in ("Copyright", "License", "Source"))
    return found


# The dog


def decoded(webp):
    """Width, height and RGB bytes of a WebP image, by the libwebp that set-up installs."""
    try:
        library = ctypes.CDLL("libwebp.so.7")
    except OSError as error:
        raise Trouble(f"libwebp is missing: {error}\nrun `make setup`") from error
    library.WebPDecodeRGB.restype = ctypes.c_void_p
    library.WebPDecodeRGB.argtypes = [ctypes.c_char_p, ctypes.c_size_t] + [ctypes.POINTER(ctypes.c_int)] * 2
    library.WebPFree.argtypes = [ctypes.c_void_p]
    width, height = ctypes.c_int(), ctypes.c_int()
    pixels = library.WebPDecodeRGB(webp, len(webp), ctypes.byref(width), ctypes.byref(height))
    if not pixels:
        raise Trouble("the image of the dog cannot be decoded\nremove the folder of packages and start again")
    try:
        return width.value, height.value, ctypes.string_at(pixels, width.value * height.value * 3)
    finally:
        library.WebPFree(pixels)


def png(image, crop, mirrored):
    """A part of an image as a PNG file."""
    width, _, pixels = image
    left, top, columns, rows = crop
    lines = bytearray()
    for row in range(top, top + rows):
        start = (row * width + left) * 3
        line = pixels[start : start + columns * 3]
        if mirrored:
            turned = bytearray(line)
            for channel in range(3):
                turned[channel::3] = line[channel::3][::-1]
            line = turned
        lines += b"\0" + line  # 0: the line is not filtered

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)  # 8 bits, RGB
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines, 6)), chunk(b"IEND", b"")]
    )


# All of it


def captions():
    """Path and caption of each photograph, in the order of captions.tsv."""
    lines = (HERE / "captions.tsv").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t", 1)) for line in lines if line and not line.startswith("#")]


def short(path):
    """A file name for an image: its collection and its own name, such as egypt_redPyramid."""
    parts = path[: -len(".webp")].split("/")
    collection = parts[-2] if parts[0] == "explore_monuments" else parts[0].replace("explore_", "")
    return f"{collection}_{parts[-1]}"


def write(folder, name, image, caption):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(image)
    (folder / name).with_suffix(".txt").write_text(caption + "\n", encoding="utf-8")


def gather(out):
    """Does the work; returns what to say about it."""
    started = time.monotonic()
    listing = out / "CREDITS.md"
    sources = [HERE / "captions.tsv", Path(__file__)]
    if listing.exists() and all(listing.stat().st_mtime > source.stat().st_mtime for source in sources):
        return f"photographs: already in {out}"

    deb = download(PACKAGE, out / "packages")
    wanted, images, known = captions(), {}, {}
    activities = {path.split("/")[0] for path, _ in wanted}
    for file in unpacked(deb, out / "packages"):
        if file.stem not in activities:
            continue
        for path, content in resources(file):
            path = path[len(ACTIVITIES) :]
            if path.endswith(".webp"):
                images[path] = content
            elif path.endswith("/README"):
                known.update(credits(content.decode("utf-8", "replace"), path[: -len("README")]))

    wanted = [(path, caption) for path, caption in wanted if path in images]
    if len(wanted) < FEWEST or DOG not in images:
        raise Trouble(
            f"{deb.name} has {len(wanted)} of the photographs in captions.tsv, at least {FEWEST} and {DOG} are needed\n"
            "use the package of Debian 12 (version 3.1)"
        )

    for folder in ("photographs", "held-out", "dog", "dog-held-out"):
        shutil.rmtree(out / folder, ignore_errors=True)
    held_out = 0
    rows = []
    for index, (path, caption) in enumerate(wanted):
        held = index % EVERY == EVERY - 1
        held_out += held
        folder = "held-out" if held else "photographs"
        write(out / folder, short(path) + ".webp", images[path], caption)
        rows.append((f"{folder}/{short(path)}.webp", path))

    dog = decoded(images[DOG])
    for folder, crops in (("dog", CROPS), ("dog-held-out", CROPS_HELD_OUT)):
        for index, (crop, caption) in enumerate(crops):
            for mirrored in (False, True):
                name = f"fernando_{index:02}{'_mirrored' if mirrored else ''}.png"
                write(out / folder, name, png(dog, crop, mirrored), caption)
    rows.append(("dog/*.png and dog-held-out/*.png: crops and mirror images of one image", DOG))

    lines = [
        "# Credits",
        "",
        f"The photographs come from Debian's package `{PACKAGE}` ({deb.name}), which names for each",
        "its author, licence and source. The WebP files are as they are in the package.",
        "",
        "| file | author | licence | source |",
        "|---|---|---|---|",
    ]
    for name, path in rows:
        author, licence, source = known.get(path, ("see the package's copyright file",) * 3)
        lines.append(f"| {name} | {author} | {licence} | {source} |")
    listing.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return (
        f"photographs: {len(wanted) - held_out} to train on, {held_out} held out; "
        f"one dog in {2 * len(CROPS)} crops, {2 * len(CROPS_HELD_OUT)} held out; {time.monotonic() - started:.0f} s"
    )


if __name__ == "__main__":
    try:
        print(gather(Path(sys.argv[1] if len(sys.argv) > 1 else ".tiny")))
    except Trouble as trouble:
        what, _, advice = str(trouble).partition("\n")
        print(f"error: {what}\n{advice}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
