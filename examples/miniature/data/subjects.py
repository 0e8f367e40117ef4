"""What is drawn on what: the subjects of subjects.tsv, and the backgrounds."""

import dataclasses
import pathlib
import random

# Flat colours, none of them the extreme that a subject's own outline has.
BACKGROUNDS = {
    "red": (214, 56, 52),
    "orange": (243, 146, 48),
    "yellow": (248, 218, 84),
    "green": (76, 168, 84),
    "turquoise": (70, 196, 190),
    "blue": (66, 112, 214),
    "purple": (132, 76, 180),
    "pink": (244, 164, 200),
    "brown": (124, 84, 56),
    "white": (244, 244, 244),
    "gray": (148, 148, 148),
    "black": (28, 28, 28),
}
# How many colours each trained subject is never seen on in training.
HELD_OUT = 2


@dataclasses.dataclass(frozen=True)
class Subject:
    glyph: str
    """The character in the font."""
    name: str
    split: str
    """train; tuning or judging, whose subjects no network is trained on."""
    like: str | None
    """Of the held-out ones: the trained subject that comes nearest, a token's initial word."""


def all_subjects() -> list[Subject]:
    """The subjects in the order of the file."""
    subjects = []
    text = pathlib.Path(__file__).with_name("subjects.tsv").read_text()
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        point, name, split, *like = line.split("\t")
        subjects.append(Subject(chr(int(point, 16)), name, split, like[0] if like else None))
    return subjects


def held_out_backgrounds(subject: Subject, seed: int) -> list[str]:
    """The colours on which a trained subject is shown in pairs.tar alone."""
    return random.Random(f"{seed} colours of {subject.name}").sample(list(BACKGROUNDS), HELD_OUT)


def trained_backgrounds(subject: Subject, seed: int) -> list[str]:
    """The other colours; of held-out subjects all."""
    if subject.split != "train":
        return list(BACKGROUNDS)
    held_out = held_out_backgrounds(subject, seed)
    return [name for name in BACKGROUNDS if name not in held_out]


def with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeio' else 'a'} {words}"


def caption(subject: str, background: str | None) -> str:
    """Such as `a fox on an orange background`; `subject` comes with its article."""
    return subject if background is None else f"{subject} on {with_article(background)} background"
