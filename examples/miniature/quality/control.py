"""Does a ControlNet on Canny's edges lead subjects that no network was trained on?"""

import concurrent.futures
import itertools
import pathlib

import numpy as np
from PIL import Image

from bootstrap import by_subject, estimate
from edges import edge_f1
from program import Program, Prompt
from samples import Samples, read
from silhouettes import overlap, silhouette
from training import train

# What is tried on the tuning split: guidance towards the prompt, and strengths of the ControlNet.
GUIDANCES = (1.5, 3.0)
STRENGTHS = (1.5, 2.0, 3.0)
# The first of the training images, which are all that it sees.
IMAGES = 10000
# Twice as many as the demo has time for.
UPDATES = 1500
# One subject in so many chooses the strength.
TUNED = 2
MEASURES = {"edge F1": edge_f1, "silhouette IoU": overlap}


def trained(program: Program, data: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The ControlNet's file."""
    tars = [f"file:{data}/train-{{00..04}}.tar"]
    return train(program, "controlnet", "canny.yaml", tars, folder, "controlnet", 1, updates=UPDATES)


def measure(
    program: Program, data: pathlib.Path, adapter: pathlib.Path, folder: pathlib.Path, pool: concurrent.futures.Executor
) -> dict:
    """`guidance` and `strength`, and for each measure the figures of no condition, another image's, its own, and the ceiling."""

    def made(samples: Samples, conditions: Samples, guidance: float, strength: float, name: str) -> list:
        """An image for each sample's caption, under the condition made of the image beside it."""

        def one(place: int) -> np.ndarray:
            own = folder / name / f"{place:03}"
            own.mkdir(parents=True, exist_ok=True)
            image = own / "condition.png"
            Image.fromarray(conditions.images[place]).save(image)
            prompt = Prompt(samples.captions[place], 2000 + place)
            words = ("--controlnet", f"{adapter}:{strength}", "--image", image)
            return program.generate([prompt], own, guidance, *words)[0]

        return [pool.submit(one, place) for place in range(len(samples))]

    tuning = contrasting(read(data / "tuning.tar"))
    tuning = tuning[list(range(0, len(tuning), TUNED))]
    tried = {
        way: made(tuning, tuning, *way, "tuning-{}-{}".format(*way))
        for way in itertools.product(GUIDANCES, STRENGTHS)
    }

    def score(way: tuple[float, float]) -> float:
        pairs = zip(results(tried[way]), tuning.images, strict=True)
        return float(np.mean([edge_f1(*pair) + overlap(*pair) for pair in pairs]))

    guidance, strength = max(tried, key=score)
    judging = contrasting(read(data / "judging.tar"))
    # Another subject's image: a share of all further on, where no sample meets one of its own subject.
    others = judging[[(place + len(judging) // 3) % len(judging) for place in range(len(judging))]]
    own = made(judging, judging, guidance, strength, "own")
    other = made(judging, others, guidance, strength, "other")
    prompts = [Prompt(caption, 2000 + place) for place, caption in enumerate(judging.captions)]
    images = {
        "without": program.generate(prompts, folder / "without", guidance),
        "other": results(other),
        "with": results(own),
        "ceiling": program.reconstruct(judging.images, folder / "real"),
    }
    figures: dict = {"guidance": guidance, "strength": strength, "measures": {}}
    for name, compared in MEASURES.items():
        columns = {
            kind: by_subject(
                judging.values("subject"), [compared(*pair) for pair in zip(made, judging.images, strict=True)]
            )
            for kind, made in images.items()
        }
        figures["measures"][name] = {kind: estimate(column) for kind, column in columns.items()} | {
            "share": estimate(
                columns["with"], columns["without"], columns["ceiling"],
                of=lambda one, none, most: (one - none) / (most - none),
            ),
            "others gain": estimate(columns["other"], columns["without"], of=lambda one, none: one - none),
        }  # fmt: skip
    figures["shown"] = [
        (judging.captions[place], judging.images[place], images["with"][place], images["other"][place],
         images["without"][place])
        for place in range(len(judging))
    ]  # fmt: skip
    return figures


def results(futures: list[concurrent.futures.Future]) -> np.ndarray:
    return np.stack([future.result() for future in futures])


def contrasting(samples: Samples) -> Samples:
    """Of every subject the image with the largest silhouette: on some backgrounds it has hardly any."""
    sizes = [silhouette(image).sum() for image in samples.images]
    places: dict[str, list[int]] = {}
    for place, subject in enumerate(samples.values("subject")):
        places.setdefault(subject, []).append(place)
    return samples[[max(own, key=lambda place: sizes[place]) for own in places.values()]]
