"""Times `cascade-adapt generate` beside diffusers' networks of its two Stable Cascade pipelines on the same random
weights, steps and sizes, in alternated pairs, and the memory of both.

Stage C of 94 million parameters with 20 steps at guidance 4, Stage B of 7 million with 10 at 1.1, then Stage A: once each
in a fresh process, started, loaded and written alike. diffusers' prior and decoder pipelines need CLIP's published towers;
theirs is the loop they run: DDPMWuerstchenScheduler, both halves in one batch, PaellaVQModel at the end, on the same
small text encoder."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))

STAGE_C = {
    "c_cond": 688, "c_hidden": [688, 688], "nhead": [8, 8], "blocks": [[2, 5], [5, 2]], "c_clip_text": 128,
    "c_clip_text_pooled": 128, "c_clip_img": 64,
}  # fmt: skip
STAGE_B = {
    "c_cond": 256, "c_hidden": [64, 128, 256], "nhead": [-1, 4, 8], "blocks": [[1, 2, 3], [3, 2, 1]],
    "block_repeat": [[1, 1, 1], [1, 1, 1]], "level_config": ["CT", "CTA", "CTA"], "self_attn": [True, True, True],
    "c_clip": 128,
}  # fmt: skip
TEXT = {
    "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4,
    "projection_dim": 128, "vocab_size": 49408, "eos_token_id": 49407, "hidden_act": "gelu",
}  # fmt: skip


def draw(folder: Path, tokenizer: Path) -> None:
    """Random weights under official names, as `--models` takes them."""
    import torch
    from safetensors.torch import save_file

    import clip_text
    import stage_a
    import stage_b
    import stage_c

    torch.manual_seed(0)
    c, b = stage_c.calm(stage_c.make(STAGE_C)), stage_c.calm(stage_b.make(STAGE_B))
    a, text = stage_a.make({}), clip_text.make(TEXT)
    (folder / "clip-text").mkdir()
    save_file(stage_c.reference_state(c.state_dict()), folder / "stage_c.safetensors")
    save_file(stage_b.reference_state(b.state_dict()), folder / "stage_b.safetensors")
    save_file(stage_a.reference_state(a), folder / "stage_a.safetensors")
    save_file(text.state_dict(), folder / "clip-text" / "model.safetensors")
    (folder / "clip-text" / "config.json").write_text(json.dumps(TEXT))
    (folder / "stage_c.yaml").write_text(json.dumps(STAGE_C))
    (folder / "stage_b.yaml").write_text(json.dumps(STAGE_B))
    for name in ("vocab.json", "merges.txt"):
        (folder / "clip-text" / name).write_bytes((tokenizer / name).read_bytes())
    for name, network in (("c", c), ("b", b), ("a", a)):
        torch.save(network, folder / f"{name}.pt")
    print(f"Stage C {sum(p.numel() for p in c.parameters()) / 1e6:.0f} M, Stage B "
          f"{sum(p.numel() for p in b.parameters()) / 1e6:.0f} M parameters")  # fmt: skip


def theirs(folder: Path, side: int, output: Path, threads: int, dtype_name: str) -> None:
    """One image by diffusers' networks and scheduler."""
    import math

    import torch
    from diffusers import DDPMWuerstchenScheduler
    from PIL import Image
    from safetensors.torch import load_file

    import clip_text

    torch.set_num_threads(threads)
    dtype = getattr(torch, dtype_name)

    def network(name):
        return torch.load(folder / f"{name}.pt", weights_only=False, mmap=True).eval().to(dtype)

    def sample(x, steps, cfg, predict):
        scheduler = DDPMWuerstchenScheduler()
        scheduler.set_timesteps(steps)
        for t in scheduler.timesteps[:-1]:
            prediction, free = predict(torch.cat([x] * 2), t.expand(2).to(x.dtype)).chunk(2)
            prediction = torch.lerp(free, prediction, cfg)
            x = scheduler.step(prediction, t.expand(1), x).prev_sample
        return x

    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        text = clip_text.make(TEXT)
        text.load_state_dict(load_file(folder / "clip-text" / "model.safetensors"))
        tokens = torch.full((2, 77), 49407)
        tokens[:, 0] = 49406
        tokens[0, 1:4] = torch.tensor([320, 1929, 2368])
        output_text = text(tokens, output_hidden_states=True)
        hidden, pooled = output_text.hidden_states[-1].to(dtype), output_text.text_embeds[:, None].to(dtype)
        del text
        c = network("c")
        latents = math.ceil(side / 42.67)
        image = torch.zeros(2, 1, 64, dtype=dtype)
        c_latents = sample(
            torch.randn(1, 16, latents, latents, generator=generator).to(dtype), 20, 4.0,
            lambda x, t: c(x, t, clip_text_pooled=pooled, clip_text=hidden, clip_img=image).sample,
        )  # fmt: skip
        del c
        b, a = network("b"), network("a")
        effnet = torch.cat([c_latents, torch.zeros_like(c_latents)])
        b_latents = sample(
            torch.randn(1, 4, side // 4, side // 4, generator=generator).to(dtype), 10, 1.1,
            lambda x, t: b(x, t, clip_text_pooled=pooled, effnet=effnet).sample,
        )  # fmt: skip
        pixels = a.decode(b_latents * a.config.scale_factor).sample.float().clamp(0, 1)
        Image.fromarray((pixels[0].permute(1, 2, 0) * 255).round().byte().numpy()).save(output)


def run(command: list[str]) -> tuple[float, float]:
    """Seconds, and the peak of memory in MB."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed: {process.stderr.read().decode()[-2000:]}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--command", required=True)
    parser.add_argument("--tokenizer", type=Path, default=Path("models/clip-tokenizer"))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of both")
    parser.add_argument("--theirs", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--draw", type=Path)
    a = parser.parse_args()
    if a.theirs:
        return theirs(a.theirs, a.size, a.output, a.threads, a.dtype)
    if a.draw:
        return draw(a.draw, a.tokenizer)
    with tempfile.TemporaryDirectory() as name:
        # In a process of its own: the peak that a child is charged with begins at its parent's.
        subprocess.run(
            [sys.executable, __file__, "--command", a.command, "--tokenizer", a.tokenizer, "--draw", name], check=True
        )
        ours = [
            a.command, "generate", "--prompt", "a dog", "--models", name, "--size", str(a.size), "--quiet",
            "--threads", str(a.threads), "--dtype", a.dtype, "-o", f"{name}/ours.png",
        ]  # fmt: skip
        other = [
            sys.executable, __file__, "--command", a.command, "--theirs", name, "--size", str(a.size), "--threads",
            str(a.threads), "--dtype", a.dtype, "--output", f"{name}/theirs.png",
        ]  # fmt: skip
        results = [(run(ours), run(other)) for _ in range(a.pairs)]
        for number, ((seconds, memory), (their_seconds, their_memory)) in enumerate(results):
            print(f"pair {number + 1}: ours {seconds:.1f} s, {memory:.0f} MB; "
                  f"diffusers {their_seconds:.1f} s, {their_memory:.0f} MB")  # fmt: skip
        ratio = statistics.median(theirs[0] / ours[0] for ours, theirs in results)
        memory = statistics.median(theirs[1] / ours[1] for ours, theirs in results)
        print(f"diffusers takes {ratio:.2f} times as long and {memory:.2f} times the memory (medians)")


if __name__ == "__main__":
    main()
