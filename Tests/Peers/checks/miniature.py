"""Holds an image of the miniature with a LoRA against diffusers and peft: the same latents after twenty steps.

    python Tests/Peers/checks/miniature.py --command .build/release/cascade-adapt --lora .demo/runs/fernando/lora.safetensors

exports the LoRA for diffusers, loads it there by peft onto the miniature's Stage C, and samples from the same noise. Text
conditions are transformers'. Latents must lie within 1e-3 of their largest value. `make demo` trains such a LoRA."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import adapter_formats
import sampling
import stage_c

MODELS = Path(__file__).parents[3] / "examples" / "miniature"
VOCABULARY = Path(__file__).parents[3] / "models" / "clip-tokenizer"
BAR = 1e-3
STEPS, GUIDANCE = 20, 3.0
PROMPTS = ("a fox on a blue background", "a car on a yellow background")


def base() -> torch.nn.Module:
    """The miniature's Stage C as diffusers' network."""
    described = yaml.safe_load((MODELS / "stage_c.yaml").read_text())
    network = stage_c.make({key: value for key, value in described.items() if key in stage_c.DEFAULTS})
    stored = {key: tensor.float() for key, tensor in load_file(MODELS / "stage_c.safetensors").items()}
    # The names of the reference, by which its fused attention is cut in three.
    for key, parameter in network.named_parameters():
        if ".attention.to_out.0." in key:
            value = stored[key.replace(".attention.to_out.0.", ".attention.attn.out_proj.")]
        elif ".attention.to_" in key:
            place, (part, kind) = key.split(".attention.to_")[0], key.split(".attention.to_")[1].split(".")
            value = stored[f"{place}.attention.attn.in_proj_{kind}"].chunk(3)["qkv".index(part)]
        else:
            value = stored[key]
        parameter.data.copy_(value)
    return network


class Texts:
    """Text conditions, encoded by transformers."""

    def __init__(self):
        self.tokenizer = CLIPTokenizer.from_pretrained(VOCABULARY)
        self.tower = CLIPTextModelWithProjection.from_pretrained(MODELS / "clip-text").float().eval()

    @torch.no_grad()
    def __call__(self, prompt: str) -> dict[str, torch.Tensor]:
        tokens = self.tokenizer(
            prompt, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
        )
        made = self.tower(**tokens, output_hidden_states=True)
        return {
            "clip_text": made.hidden_states[-1], "clip_text_pooled": made.text_embeds[:, None],
            "clip_img": torch.zeros(1, 1, self.tower.config.projection_dim),
        }  # fmt: skip


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--command", nargs="+", required=True)
    words.add_argument("--lora", type=Path, required=True)
    options = words.parse_args()
    texts, good = Texts(), True
    with tempfile.TemporaryDirectory() as name, torch.no_grad():
        folder = Path(name)
        noise = torch.randn(1, 16, 12, 12, generator=torch.Generator().manual_seed(1))
        save_file({"stage_c": noise}, folder / "noise.safetensors")
        exported = folder / "diffusers.safetensors"
        subprocess.run([*options.command, "export", options.lora, "-o", exported, "--format", "diffusers", "--arch",
                        MODELS / "stage_c.yaml"], check=True, capture_output=True)  # fmt: skip
        with safe_open(exported, "pt") as file:
            described = file.metadata()
        network = base()
        left = adapter_formats.load_peft(network, load_file(exported), described)
        assert not left, f"keys that diffusers does not know: {left}"
        for prompt in PROMPTS:
            latents = folder / "latents.safetensors"
            subprocess.run(
                [*options.command, "generate", "--models", MODELS, "--prompt", prompt, "--lora", options.lora,
                 "--dtype", "float32", "--sampler", "ddim", "--steps", str(STEPS), "--cfg", str(GUIDANCE), "--shift", "1",
                 "--noise", folder / "noise.safetensors", "--latents", latents, "-o", folder / "image.png",
                 "--overwrite", "--quiet"],
                check=True, capture_output=True,
            )  # fmt: skip
            conditions = {True: texts(prompt), False: texts("")}
            arch = {"sampler": "ddim", "target": "v", "timesteps": STEPS, "cfg": GUIDANCE}
            theirs = sampling.sample(
                noise, arch, lambda x, r, is_given: stage_c.forward(network, {"x": x, "r": r} | conditions[is_given])
            )
            error = ((load_file(latents)["stage_c"] - theirs).abs().max() / theirs.abs().max()).item()
            good &= error <= BAR
            print(f"{prompt}: {error:.1e} of the largest value{'' if error <= BAR else '  WRONG'}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
