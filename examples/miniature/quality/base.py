"""Does the base draw what a prompt says?

Subjects and backgrounds of its images in the judge's eyes, for pairs that it was trained on and pairs it never saw,
each beside real images of the same in new poses."""

import pathlib

import numpy as np

from bootstrap import by_subject, estimate
from judge import Judge
from program import Program, Prompt
from samples import Samples, read

GUIDANCES = (3, 5, 7, 10)
# Subjects by which the guidance is chosen; their images here are not judged.
TUNED = 24


def prompts(samples: Samples, seed: int) -> list[Prompt]:
    return [Prompt(caption, seed + place) for place, caption in enumerate(samples.captions)]


def measure(program: Program, data: pathlib.Path, judge: Judge, folder: pathlib.Path) -> dict:
    """`guidance`, the figures of `seen` and `pairs`, and `shown`: images with their prompts."""
    seen, pairs = read(data / "seen.tar"), read(data / "pairs.tar")
    trained = sorted(set(seen.values("subject")))
    guidance = chosen_guidance(program, seen, judge, trained, folder)
    seen, pairs = seen.first_of_each(2), pairs.first_of_each(2)
    figures: dict = {"guidance": guidance}
    columns = {}
    for name, samples in (("seen", seen), ("pairs", pairs)):
        made = program.generate(prompts(samples, 1000), folder / name, guidance)
        real = program.reconstruct(samples.images, folder / "real")
        subjects, backgrounds = samples.values("subject"), samples.values("background")
        right = by_subject(subjects, judge.right_subjects(made, subjects, trained))
        ceiling = by_subject(subjects, judge.right_subjects(real, subjects, trained))
        behind = by_subject(subjects, judge.right_backgrounds(made, backgrounds))
        columns[name] = right
        figures[name] = {
            "subject": estimate(right),
            "real": estimate(ceiling),
            "share": estimate(right, ceiling, of=lambda one, other: one / max(other, 1e-9)),
            "background": estimate(behind),
            "similarity": estimate(by_subject(subjects, judge.similarity(made, subjects))),
        }
        figures[name]["shown"] = [(samples.captions[place], made[place], real[place]) for place in some(len(made))]
    figures["gap"] = estimate(columns["seen"], columns["pairs"], of=lambda one, other: one - other)
    figures["chance"] = 1 / len(trained)
    return figures


def chosen_guidance(
    program: Program, seen: Samples, judge: Judge, trained: list[str], folder: pathlib.Path
) -> float:
    """The guidance with most subjects right and like themselves, on backgrounds and seeds that are not judged."""
    last = {subject: place for place, subject in enumerate(seen.values("subject"))}
    places = [last[subject] for subject in trained[:: len(trained) // TUNED]]
    samples = seen[places]

    def score(guidance: float) -> float:
        made = program.generate(prompts(samples, 5000), folder / f"guidance-{guidance}", guidance)
        subjects = samples.values("subject")
        right, similarity = judge.right_subjects(made, subjects, trained), judge.similarity(made, subjects)
        return float(np.mean(right) + np.mean(similarity))

    return max(GUIDANCES, key=score)


def some(count: int, wanted: int = 24) -> list[int]:
    return np.linspace(0, count - 1, min(count, wanted)).astype(int).tolist()
