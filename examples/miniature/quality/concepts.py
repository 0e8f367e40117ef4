"""Does a token with LoRA layers learn a subject from eight images, and leave the rest alone?"""

import concurrent.futures
import pathlib
import re

import numpy as np

from bootstrap import by_subject, estimate
from judge import Judge
from program import Program, Prompt
from samples import read
from training import train

TOKEN = "[fernando]"
JUDGED = {"tiger": "lion", "hibiscus": "rose", "jeep": "car", "violin": "guitar"}
TUNED = {"cat": "dog"}
SEEDS = (1, 2)
WEIGHTS = (0.7, 1.0)
BACKGROUNDS = ("red", "green", "blue", "pink", "white", "gray")
# Unrelated prompts, of which a token must not change the images.
UNRELATED = (
    "a fox on a blue background", "an apple on a white background", "a castle on a green background",
    "a bus on a yellow background", "an umbrella on a pink background", "a turtle on a purple background",
    "a drum on a turquoise background", "a cactus on an orange background",
)  # fmt: skip
# Share of the concept's own images in training; the others are of trained subjects.
REPEATS = 8


def on(words: str) -> list[str]:
    return [f"{words} on a{'n' if name[0] in 'aeio' else ''} {name} background" for name in BACKGROUNDS]


def trained(program: Program, data: pathlib.Path, subject: str, like: str, seed: int, folder: pathlib.Path):
    """The adapter's file, of as many images of the concept as of trained subjects in each epoch."""
    tars = REPEATS * [f"file:{data}/concepts/{subject.replace(' ', '-')}.tar"] + [f"file:{data}/concepts/prior.tar"]
    tokens = [[TOKEN, f"^{re.escape(like)}</w>"]]
    name = f"{subject.replace(' ', '-')}-{seed}"
    return train(program, "lora", "fernando.yaml", tars, folder, name, seed, train_tokens=tokens)


def measure(
    program: Program, data: pathlib.Path, judge: Judge, guidance: float, folder: pathlib.Path,
    pool: concurrent.futures.Executor,
) -> dict:  # fmt: skip
    """`weight`, and the similarity to the subject with the token, with the initial word, of real images; drift."""
    runs = [(subject, like, seed) for subject, like in JUDGED.items() for seed in SEEDS]
    tuned = [(subject, like, SEEDS[0]) for subject, like in TUNED.items()]
    files = {
        (subject, seed): pool.submit(trained, program, data, subject, like, seed, folder)
        for subject, like, seed in tuned + runs
    }

    def images(words: list[str], seed: int, name: str, *adapter: str) -> np.ndarray:
        prompts = [Prompt(text, 3000 + 100 * seed + place) for place, text in enumerate(words)]
        return program.generate(prompts, folder / "images" / f"{name}-{seed}", guidance, *adapter)

    # The same for all subjects.
    before = {seed: images(list(UNRELATED), seed, "before") for seed in SEEDS}

    def result(subject: str, like: str, seed: int, weight: float) -> dict:
        """The images of one run, and the judge's means of them."""
        article = "an" if like[0] in "aeio" else "a"
        adapter = ("--lora", f"{files[subject, seed].result()}:{weight}")
        made = {
            "token": images(on(TOKEN), seed, f"{subject}-token-{weight}", *adapter),
            "word": images(on(f"{article} {like}"), seed, f"{subject}-word"),
            "before": before[seed],
            "after": images(list(UNRELATED), seed, f"{subject}-after-{weight}", *adapter),
        }
        own = [re.sub("^an? | on an? .*$", "", text) for text in UNRELATED]

        def similarity(name: str, subjects: list[str]) -> float:
            return float(np.mean(judge.similarity(made[name], subjects)))

        figures = {name: similarity(name, len(BACKGROUNDS) * [subject]) for name in ("token", "word")}
        figures["gain"] = figures["token"] - figures["word"]
        # What unrelated images lose of their own subjects, and what they take on of the concept.
        figures["drift"] = similarity("before", own) - similarity("after", own)
        elsewhere = len(UNRELATED) * [subject]
        figures["leak"] = similarity("after", elsewhere) - similarity("before", elsewhere)
        return {"subject": subject, "seed": seed, "figures": figures, "images": made}

    # A weight is good for what it gains, less what it costs elsewhere.
    def score(weight: float) -> float:
        means = [result(*run, weight)["figures"] for run in tuned]
        return float(np.mean([each["gain"] - max(each["drift"], 0) - max(each["leak"], 0) for each in means]))

    concurrent.futures.wait(list(files.values()))
    weight = max(WEIGHTS, key=score)
    results = list(pool.map(lambda run: result(*run, weight), runs))
    subjects = [each["subject"] for each in results]
    column = {
        name: by_subject(subjects, [each["figures"][name] for each in results])
        for name in ("token", "word", "gain", "drift", "leak")
    }
    judging = read(data / "judging.tar")
    judging = judging[[place for place, name in enumerate(judging.values("subject")) if name in JUDGED]]
    real = program.reconstruct(judging.images, folder / "real")
    names = judging.values("subject")
    return {
        "weight": weight,
        "runs": len(results),
        "figures": {name: estimate(values) for name, values in column.items()}
        | {"ceiling": estimate(by_subject(names, judge.similarity(real, names)))}
        | {
            f"{name} of gain": estimate(column[name], column["gain"], of=lambda part, gain: part / gain)
            for name in ("drift", "leak")
        },
        "shown": [
            (each["subject"], judging.images[names.index(each["subject"])], each["images"])
            for each in results
            if each["seed"] == SEEDS[0]
        ],
    }
