"""A judge of subjects and backgrounds: a small network trained on reconstructions, so that it knows how far encoder and
previewer blur, and not on images as they are, of which it would take reconstructions for something else."""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from program import Program
from samples import Samples, read

EPOCHS, BATCH, RATE = 10, 32, 3e-3
# Below this share of right subjects on held-out reconstructions nothing is judged.
LEAST = 0.8
# Latents of what it learns from are noised by up to this, as those that Stage C makes are not perfect.
NOISE = 0.4


def layer(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.SiLU()
    )


class Network(nn.Module):
    def __init__(self, subjects: int, backgrounds: int):
        super().__init__()
        self.features = nn.Sequential(
            layer(3, 32, 5, 2), layer(32, 64, 3, 1), layer(64, 96, 3, 2), layer(96, 128, 3, 2), layer(128, 192, 3, 1)
        )
        self.embedding = nn.Linear(192, 96)
        self.subject = nn.Linear(96, subjects)
        self.background = nn.Linear(192, backgrounds)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Embeddings [N, 96], and logits of subjects and of backgrounds, of images [N, 3, 96, 96] in 0...1."""
        pooled = self.features(F.avg_pool2d(images, 2) - 0.5).mean((2, 3))
        embedding = self.embedding(pooled)
        return embedding, self.subject(F.dropout(embedding, 0.2, self.training)), self.background(pooled)


class Judge:
    """Answers about images [N, 96, 96, 3] of bytes."""

    def __init__(self, network: Network, subjects: list[str], backgrounds: list[str], prototypes: torch.Tensor):
        self.network, self.subjects, self.backgrounds = network.eval(), subjects, backgrounds
        # The mean embedding of each subject, and what all have in common.
        self.prototypes, self.common = prototypes, prototypes.mean(0)

    @torch.no_grad()
    def answers(self, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pieces = [self.network(as_tensor(piece)) for piece in np.array_split(images, -(-len(images) // 256))]
        return tuple(torch.cat(parts) for parts in zip(*pieces, strict=True))

    def right_subjects(self, images: np.ndarray, subjects: list[str], among: list[str]) -> list[float]:
        """1 where the likeliest of `among` is the subject, else 0."""
        places = [self.subjects.index(name) for name in among]
        likeliest = self.answers(images)[1][:, places].argmax(1).tolist()
        return [float(among[place] == name) for place, name in zip(likeliest, subjects, strict=True)]

    def right_backgrounds(self, images: np.ndarray, backgrounds: list[str]) -> list[float]:
        likeliest = self.answers(images)[2].argmax(1).tolist()
        return [float(self.backgrounds[place] == name) for place, name in zip(likeliest, backgrounds, strict=True)]

    def similarity(self, images: np.ndarray, subjects: list[str]) -> list[float]:
        """The cosine between what sets an image apart and what sets its subject apart: 1 for its very mean."""
        places = [self.subjects.index(name) for name in subjects]
        embeddings = self.answers(images)[0]
        return F.cosine_similarity(embeddings - self.common, self.prototypes[places] - self.common).tolist()


def as_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255


def ready(program: Program, data: pathlib.Path, folder: pathlib.Path) -> tuple[Judge, float]:
    """The judge with its share of right subjects on held-out reconstructions; trained where the folder has none."""
    torch.set_num_threads(1)
    path = folder / "judge.pt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        samples = read(data / "judge.tar")
        noised = torch.Generator().manual_seed(1)
        latents = program.encode(samples.images, folder)
        deviations = NOISE * torch.rand(len(latents), 1, 1, 1, generator=noised)
        samples.images = program.decode(latents + deviations * torch.randn(latents.shape, generator=noised), folder)
        judge = trained(samples)
        unseen = [read(data / name).first_of_each(count) for name, count in (("seen.tar", 2), ("judging.tar", 4))]
        right = [
            answer
            for part in unseen
            for answer in judge.right_subjects(
                program.reconstruct(part.images, folder), part.values("subject"), judge.subjects
            )
        ]
        kept = (judge.network.state_dict(), judge.subjects, judge.backgrounds, judge.prototypes, float(np.mean(right)))
        torch.save(kept, path)
    state, subjects, backgrounds, prototypes, accuracy = torch.load(path, weights_only=True)
    network = Network(len(subjects), len(backgrounds))
    network.load_state_dict(state)
    if accuracy < LEAST:
        raise SystemExit(
            f"error: the judge knows {accuracy:.2f} of held-out reconstructions, {LEAST} are needed\n"
            f"encoder or previewer blur too much to be judged; to train the judge again, remove {path}"
        )
    return Judge(network, subjects, backgrounds, prototypes), accuracy


def trained(samples: Samples) -> Judge:
    """A judge that has learned subjects and backgrounds from reconstructions."""
    torch.manual_seed(1)
    subjects, backgrounds = (sorted(set(samples.values(field))) for field in ("subject", "background"))
    wanted = torch.tensor([subjects.index(name) for name in samples.values("subject")])
    behind = torch.tensor([backgrounds.index(name) for name in samples.values("background")])
    network = Network(len(subjects), len(backgrounds)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    updates = EPOCHS * (len(samples) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, updates)
    images = torch.from_numpy(samples.images).permute(0, 3, 1, 2).contiguous()
    for _ in range(EPOCHS):
        for places in torch.randperm(len(samples))[: len(samples) // BATCH * BATCH].view(-1, BATCH):
            shift = torch.randint(-4, 5, (2,)).tolist()
            seen = torch.roll(images[places].float() / 255, shift, (2, 3))  # backgrounds are flat
            seen = (seen + 0.03 * torch.randn(BATCH, 3, 1, 1)).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                _, subject, background = network(seen)
            loss = F.cross_entropy(subject.float(), wanted[places], label_smoothing=0.05)
            loss = loss + 0.3 * F.cross_entropy(background.float(), behind[places])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    judge = Judge(network, subjects, backgrounds, torch.zeros(len(subjects), 96))
    embeddings = judge.answers(samples.images)[0]
    prototypes = torch.stack([embeddings[wanted == place].mean(0) for place in range(len(subjects))])
    return Judge(network, subjects, backgrounds, prototypes)
