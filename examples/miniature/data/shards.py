"""Writes samples to a WebDataset tar: KEY.png, KEY.txt and KEY.json of each."""

import dataclasses
import io
import json
import os
import pathlib
import tarfile
from collections.abc import Iterable

from drawing import Pose, drawn, png
from subjects import BACKGROUNDS, Subject


@dataclasses.dataclass(frozen=True)
class Sample:
    key: str
    subject: Subject
    background: str
    caption: str
    pose: Pose
    split: str

    def members(self) -> Iterable[tuple[str, bytes]]:
        image = drawn(self.subject.glyph, BACKGROUNDS[self.background], self.pose)
        fields = {
            "subject": self.subject.name,
            "background": self.background,
            **dataclasses.asdict(self.pose),
            "split": self.split,
        }
        yield "png", png(image)
        yield "txt", self.caption.encode()
        yield "json", json.dumps(fields).encode()


def write(path: pathlib.Path, samples: Iterable[Sample]) -> None:
    """The tar, which is the same to the byte for the same samples; nobody sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            for ending, content in sample.members():
                member = tarfile.TarInfo(f"{sample.key}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    partial.rename(path)
