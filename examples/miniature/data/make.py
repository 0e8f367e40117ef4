"""Makes the miniature's dataset, WebDataset tars of emoji in poses on coloured backgrounds.

    /usr/bin/python3 examples/miniature/data/make.py FOLDER [--parts train tuning judging pairs seen concepts judge]
        [--concepts NAME…] [--images 28000] [--seed 1] [--processes 2]

needs Debian's python3-pil and fonts-noto-color-emoji, and nothing else. Tars that are there are kept. FOLDER gets

    train-00.tar …      trained subjects, each on 10 of the 12 colours
    seen.tar            trained subjects on those colours, in other poses
    pairs.tar           trained subjects on the 2 colours held out for each
    tuning.tar          held-out subjects by which settings are chosen
    judging.tar         held-out subjects by which results are judged
    concepts/NAME.tar   8 images of a held-out subject, with captions of the token [fernando]
    concepts/prior.tar  64 images of trained subjects, with captions of their own
    judge.tar           all subjects, for the judge of `make quality`; made only where --parts asks for it

The seed draws everything, each image by itself: a part made alone is the same as with all others."""

import argparse
import multiprocessing
import pathlib
import time

from parts import Parts
from shards import write

USUAL = ("train", "tuning", "judging", "pairs", "seen", "concepts")


def make(job: tuple[argparse.Namespace, str, int]) -> None:
    """Writes one tar, named by its part and place there, as only names travel to other processes."""
    options, part, place = job
    path, samples = parts(options).tars(part)[place]
    write(path, samples())


def parts(options: argparse.Namespace) -> Parts:
    return Parts(options.folder, options.seed, options.images)


def is_wanted(path: pathlib.Path, part: str, options: argparse.Namespace) -> bool:
    if path.exists():
        return False
    concepts = [name.replace(" ", "-") for name in options.concepts or []]
    return part != "concepts" or not concepts or path.stem in (*concepts, "prior")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", type=pathlib.Path)
    words.add_argument("--parts", nargs="+", choices=(*USUAL, "judge"), default=USUAL)
    words.add_argument("--concepts", nargs="+", metavar="NAME", help="these concepts alone, and the prior images")
    words.add_argument("--images", type=int, default=28000, help="of train, 2000 in each tar")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--processes", type=int, default=2)
    options = words.parse_args()
    began = time.monotonic()
    jobs = [
        (options, part, place)
        for part in options.parts
        for place, (path, _) in enumerate(parts(options).tars(part))
        if is_wanted(path, part, options)
    ]
    if not jobs:
        return
    with multiprocessing.Pool(min(options.processes, len(jobs))) as pool:
        for _ in pool.imap_unordered(make, jobs):
            pass
    print(f"{len(jobs)} tars in {options.folder}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
