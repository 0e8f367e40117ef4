"""Calls `cascade-adapt` on the miniature's weights."""

import dataclasses
import json
import os
import pathlib
import shlex
import subprocess

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

SIDE = 96
MEAN, DEVIATION = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
# Images of one call of `forward`.
PIECE = 256
# Keeps the memory of large tensors for the next ones, which halves the time of `forward` on a CPU.
ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}


@dataclasses.dataclass(frozen=True)
class Prompt:
    text: str
    seed: int


@dataclasses.dataclass
class Program:
    command: str
    models: pathlib.Path
    threads: int = 1
    """Of one call; several run side by side."""

    def __call__(self, *words: object) -> str:
        """Standard output of a call; one that fails ends all with what it said."""
        call = [self.command, *map(str, words)]
        ended = subprocess.run(call, capture_output=True, text=True, check=False, env=os.environ | ALLOCATION)
        if ended.returncode != 0:
            raise SystemExit(f"$ {shlex.join(call)}\n{ended.stderr.strip()}")
        return ended.stdout

    def generate(self, prompts: list[Prompt], folder: pathlib.Path, cfg: float, *words: object) -> np.ndarray:
        """An image of every prompt, [N, SIDE, SIDE, 3] bytes; what is not said here says the models' generate.yaml.

        They are kept in the folder and read from there the next time. `words` are further options, such as adapters."""
        done = folder / "files.json"
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            listed = folder / "prompts.txt"
            listed.write_text("".join(f"{prompt.text} --d {prompt.seed}\n" for prompt in prompts))
            said = self(
                "generate", "--models", self.models, "--prompts", listed, "--decoder", "previewer",
                "--size", f"{SIDE}x{SIDE}", "--cfg", cfg, "--batch", 32,
                "--threads", self.threads, "--quiet", "--json", *words, "-o", folder / "images",
            )  # fmt: skip
            done.write_text(said)
        files = json.loads(done.read_text())["files"]
        return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])

    # In bfloat16, as `generate` takes the weights from their files.

    def encode(self, images: np.ndarray, scratch: pathlib.Path) -> torch.Tensor:
        """Latents [N, 16, h, w] of [N, SIDE, SIDE, 3] bytes."""
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
        return self.forward("effnet", "images", (pixels - mean) / deviation, "latents", scratch)

    def decode(self, latents: torch.Tensor, scratch: pathlib.Path) -> np.ndarray:
        """What the previewer makes of latents, [N, SIDE, SIDE, 3] bytes."""
        images = self.forward("previewer", "latents", latents, "images", scratch).clamp(0, 1)
        return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()

    def reconstruct(self, images: np.ndarray, scratch: pathlib.Path) -> np.ndarray:
        return self.decode(self.encode(images, scratch), scratch)

    def forward(
        self, module: str, name: str, inputs: torch.Tensor, result: str, scratch: pathlib.Path
    ) -> torch.Tensor:
        scratch.mkdir(parents=True, exist_ok=True)
        architecture = yaml.safe_load((self.models / "stage_c.yaml").read_text())[module]
        arch, given, made = (scratch / f"{module}.{ending}" for ending in ("json", "in", "out"))
        arch.write_text(json.dumps(architecture))
        outputs = []
        for piece in inputs.split(PIECE):
            save_file({name: piece.contiguous()}, given)
            self(
                "forward", module, "--arch", arch, "--weights", self.models / f"{module}.safetensors",
                "--inputs", given, "--outputs", made, "--dtype", "bfloat16", "--threads", self.threads,
            )  # fmt: skip
            outputs.append(load_file(made)[result])
        given.unlink()
        made.unlink()
        return torch.cat(outputs).float()
