"""Does a ControlNet on Canny's edges lead subjects that no network was trained on?"""

import concurrent.futures
import pathlib

import numpy as np
from PIL import Image

from bootstrap import by_subject, estimate
from edges import edge_f1
from program import Program, Prompt
from samples import Samples, read
from silhouettes import overlap, silhouette
from training import train

STRENGTHS = (1.0, 1.5, 2.0)
# The first of the training images, which are all that it sees.
IMAGES = 10000
# One subject in so many chooses the strength.
TUNED = 2
MEASURES = {"edge F1": edge_f1, "silhouette IoU": overlap}


def trained(program: Program, data: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The ControlNet's file."""
    tars = [f"file:{data}/train-{{00..04}}.tar"]
    return train(program, "controlnet", "canny.yaml", tars, folder, "controlnet", 1, dtype="bfloat16")


def measure(
    program: Program, data: pathlib.Path, adapter: pathlib.Path, guidance: float, folder: pathlib.Path,
    pool: concurrent.futures.Executor,
) -> dict:  # fmt: skip
    """`strength`, and for each measure the figures of no condition, another image's, its own, and the ceiling."""

    def made(samples: Samples, conditions: Samples, strength: float, name: str) -> list:
        """An image for each sample's caption, under the condition made of the image beside it."""

        def one(place: int) -> np.ndarray:
            own = folder / name / f"{place:03}"
            own.mkdir(parents=True, exist_ok=True)
            picture = own / "condition.png"
            Image.fromarray(conditions.images[place]).save(picture)
            prompt = Prompt(samples.captions[place], 2000 + place)
            words = ("--controlnet", f"{adapter}:{strength}", "--image", picture)
            return program.generate([prompt], own, guidance, *words)[0]

        return [pool.submit(one, place) for place in range(len(samples))]

    tuning = contrasting(read(data / "tuning.tar"))
    tuning = tuning[list(range(0, len(tuning), TUNED))]
    tried = {strength: made(tuning, tuning, strength, f"tuning-{strength}") for strength in STRENGTHS}

    def score(strength: float) -> float:
        pairs = zip(results(tried[strength]), tuning.images, strict=True)
        return float(np.mean([edge_f1(*pair) + overlap(*pair) for pair in pairs]))

    strength = max(STRENGTHS, key=score)
    judging = contrasting(read(data / "judging.tar"))
    # Another subject's image: a share of all further on, where no sample meets one of its own subject.
    others = judging[[(place + len(judging) // 3) % len(judging) for place in range(len(judging))]]
    own = made(judging, judging, strength, "own")
    other = made(judging, others, strength, "other")
    prompts = [Prompt(caption, 2000 + place) for place, caption in enumerate(judging.captions)]
    images = {
        "without": program.generate(prompts, folder / "without", guidance),
        "other": results(other),
        "with": results(own),
        "ceiling": program.reconstruct(judging.images, folder / "real"),
    }
    figures: dict = {"strength": strength, "measures": {}}
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
