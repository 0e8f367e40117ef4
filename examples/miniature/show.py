"""Takes images out of a tar, and puts images into a grid that a person looks at.

    /usr/bin/python3 examples/miniature/show.py take TAR COUNT FOLDER
    /usr/bin/python3 examples/miniature/show.py grid OUT.png TITLE=IMAGES…

`take` takes images of different subjects, with their captions. Each TITLE=IMAGES is a row, IMAGES a folder or a pattern.
"""

import json
import pathlib
import sys
import tarfile

from PIL import Image, ImageDraw, ImageFont

SIDE = 96
GAP = 4
TITLE = 112


def take(tar: str, count: int, folder: str) -> None:
    place = pathlib.Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tar) as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
    stems = sorted({name.rsplit(".", 1)[0] for name in members})
    subjects = [json.loads(members[f"{stem}.json"])["subject"] for stem in stems]
    # One of each subject where there are as many, the images spread over the tar.
    firsts = [stem for index, stem in enumerate(stems) if subjects[index] not in subjects[:index]]
    chosen = firsts if len(firsts) >= count else stems
    for stem in chosen[:: len(chosen) // count][:count]:
        for ending in ("png", "txt"):
            (place / f"{stem}.{ending}").write_bytes(members[f"{stem}.{ending}"])


def paths(images: str) -> list[pathlib.Path]:
    place = pathlib.Path(images)
    found = place.glob("*.png") if place.is_dir() else place.parent.glob(f"{place.name}.png" if "." not in place.name else place.name)
    return sorted(found)


def grid(out: str, rows: list[str]) -> None:
    titled = [row.split("=", 1) for row in rows]
    images = [paths(where) for _, where in titled]
    columns = max(map(len, images))
    step = SIDE + GAP
    sheet = Image.new("RGB", (TITLE + columns * step, len(rows) * step + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    for row, ((title, _), files) in enumerate(zip(titled, images)):
        pen.text((GAP, GAP + row * step + SIDE // 2 - 5), title, fill="black", font=font)
        for column, file in enumerate(files):
            image = Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.LANCZOS)
            sheet.paste(image, (TITLE + column * step, GAP + row * step))
    sheet.save(out)


def main() -> None:
    command, *words = sys.argv[1:] or [""]
    if command == "take" and len(words) == 3:
        take(words[0], int(words[1]), words[2])
    elif command == "grid" and len(words) >= 2 and all("=" in word for word in words[1:]):
        grid(words[0], words[1:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
