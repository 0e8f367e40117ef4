"""The parts of the dataset, each a list of tars and what is in them."""

import pathlib
import random
from collections.abc import Callable, Iterator

from drawing import Pose, drawn_pose
from shards import Sample
from subjects import (
    BACKGROUNDS, Subject, all_subjects, caption, held_out_backgrounds, trained_backgrounds, with_article,
)  # fmt: skip

SHARD = 2000
# One caption in so many names the subject alone.
BARE_CAPTIONS = 10
TOKEN = "[fernando]"
CONCEPT_IMAGES = 8
PRIOR_IMAGES = 64
# What the judge of `make quality` learns every subject from, held-out ones too.
JUDGE_IMAGES = 24

Tar = tuple[pathlib.Path, Callable[[], Iterator[Sample]]]


class Parts:
    """What a seed makes. Every image draws by the seed, its part and its number, so parts can be made alone."""

    def __init__(self, folder: pathlib.Path, seed: int, images: int):
        self.folder, self.seed, self.images = folder, seed, images
        self.subjects = all_subjects()
        self.trained = [subject for subject in self.subjects if subject.split == "train"]

    def tars(self, part: str) -> list[Tar]:
        """The tars of one part: train, tuning, judging, pairs, seen, concepts or judge."""
        if part == "train":
            return [
                (self.folder / f"train-{shard:02}.tar", lambda shard=shard: self.train(shard))
                for shard in range(-(-self.images // SHARD))
            ]
        if part == "concepts":
            concepts = self.folder / "concepts"
            return [(concepts / "prior.tar", self.prior)] + [
                (concepts / f"{subject.name.replace(' ', '-')}.tar", lambda subject=subject: self.concept(subject))
                for subject in self.subjects
                if subject.split != "train"
            ]
        samples = {"pairs": self.pairs, "seen": self.seen, "judge": self.judge}.get(part, lambda: self.unseen(part))
        return [(self.folder / f"{part}.tar", samples)]

    def draws(self, *names: object) -> random.Random:
        return random.Random(" ".join(map(str, (self.seed, *names))))

    def sample(self, part: str, number: int, subject: Subject, background: str, words: str | None = None) -> Sample:
        """A sample in a drawn pose; `words` in the place of the caption that says all."""
        pose = drawn_pose(self.draws(part, subject.name, number))
        said = words or caption(with_article(subject.name), background)
        return Sample(f"{part}-{number:06}", subject, background, said, pose, subject.split)

    def train(self, shard: int) -> Iterator[Sample]:
        """Every subject equally often, in an order of its own in each round."""
        for number in range(shard * SHARD, min((shard + 1) * SHARD, self.images)):
            rounds, place = divmod(number, len(self.trained))
            subject = self.draws("round", rounds).sample(self.trained, len(self.trained))[place]
            draws = self.draws("train", number)
            background = draws.choice(trained_backgrounds(subject, self.seed))
            bare = caption(with_article(subject.name), None) if draws.randrange(BARE_CAPTIONS) == 0 else None
            yield self.sample("train", number, subject, background, bare)

    def shown(
        self, part: str, subjects: list[Subject], backgrounds: Callable[[Subject], list[str]]
    ) -> Iterator[Sample]:
        """Every subject once on each of its backgrounds."""
        number = 0
        for subject in subjects:
            for background in backgrounds(subject):
                yield self.sample(part, number, subject, background)
                number += 1

    def unseen(self, split: str) -> Iterator[Sample]:
        """Held-out subjects on all backgrounds."""
        subjects = [subject for subject in self.subjects if subject.split == split]
        return self.shown(split, subjects, lambda subject: trained_backgrounds(subject, self.seed))

    def pairs(self) -> Iterator[Sample]:
        """Trained subjects on colours held out for them, each three times."""
        return self.shown("pairs", self.trained, lambda subject: 3 * held_out_backgrounds(subject, self.seed))

    def seen(self) -> Iterator[Sample]:
        """Trained subjects on colours that they were trained on, in new poses."""

        def backgrounds(subject: Subject) -> list[str]:
            return self.draws("seen", subject.name).sample(trained_backgrounds(subject, self.seed), 6)

        return self.shown("seen", self.trained, backgrounds)

    def judge(self) -> Iterator[Sample]:
        """All subjects, equally often on each of all the colours."""
        times = JUDGE_IMAGES // len(BACKGROUNDS)
        return self.shown("judge", self.subjects, lambda subject: times * list(BACKGROUNDS))

    def concept(self, subject: Subject) -> Iterator[Sample]:
        """A few images of a held-out subject, whose captions say a token in the place of its name."""
        colours = trained_backgrounds(subject, self.seed)
        for number, background in enumerate(self.draws("concept", subject.name).sample(colours, CONCEPT_IMAGES)):
            yield self.sample("concept", number, subject, background, caption(TOKEN, background))

    def prior(self) -> Iterator[Sample]:
        """Trained subjects with captions of their own: what a concept must not change."""
        draws = self.draws("prior")
        for number, subject in enumerate(draws.sample(self.trained, PRIOR_IMAGES)):
            background = draws.choice(trained_backgrounds(subject, self.seed))
            yield self.sample("prior", number, subject, background)
