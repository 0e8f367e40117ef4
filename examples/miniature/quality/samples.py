"""Reads images, captions and fields back from the dataset's tars."""

import dataclasses
import io
import json
import pathlib
import tarfile

import numpy as np
from PIL import Image


@dataclasses.dataclass
class Samples:
    images: np.ndarray
    """[N, side, side, 3], bytes of RGB."""
    captions: list[str]
    fields: list[dict]
    """What each sample's .json says."""

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, places: list[int]) -> "Samples":
        return Samples(
            self.images[places], [self.captions[p] for p in places], [self.fields[p] for p in places]
        )

    def values(self, field: str) -> list[str]:
        return [fields[field] for fields in self.fields]

    def first_of_each(self, count: int) -> "Samples":
        """The first few samples of every subject."""
        seen: dict[str, int] = {}
        places = []
        for place, subject in enumerate(self.values("subject")):
            seen[subject] = seen.get(subject, 0) + 1
            if seen[subject] <= count:
                places.append(place)
        return self[places]


def read(path: pathlib.Path) -> Samples:
    images, captions, fields = [], [], []
    with tarfile.open(path) as tar:
        for member in tar:
            content = tar.extractfile(member).read()
            if member.name.endswith(".png"):
                images.append(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
            elif member.name.endswith(".txt"):
                captions.append(content.decode())
            else:
                fields.append(json.loads(content))
    return Samples(np.stack(images), captions, fields)
