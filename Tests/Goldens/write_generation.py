"""Writes the goldens of whole images: prompt to latents to pixels, from given noise with DDIM.

Peers: transformers 5.23.0 (CLIP towers), diffusers 0.42.1 (StableCascadeUNet, PaellaVQModel), torchvision 0.29.2
(efficientnet_v2_s, resizing), driven by the reference's sampling formula as Tests/Peers/peers/sampling.py has it. Weights are
drawn from their names (drawn.py), what blocks hear of the time is turned down (stage_c.calm). Each file's metadata names
what it was written with."""

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import clip_text
import clip_vision
import controlnet
import drawn
import golden
import lora
import stage_a
import stage_b
import stage_c
from diffuse import noise_cond, scales
from effnet import EffNet
from golden import normal
from schedules import schedule
from torch.nn import functional

TEXT = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "projection_dim": 16,
    "vocab_size": 76, "eos_token_id": 75,
}  # fmt: skip
VISION = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "projection_dim": 8,
    "image_size": 32, "patch_size": 16,
}  # fmt: skip
STAGE_C = {
    "c_r": 16, "c_cond": 16, "c_hidden": [16, 16], "nhead": [2, 2], "blocks": [[1, 2], [2, 1]], "c_clip_text": 16,
    "c_clip_text_pooled": 16, "c_clip_img": 8, "c_clip_seq": 2,
}  # fmt: skip
STAGE_B = {
    "c_r": 16, "c_cond": 16, "c_hidden": [8, 16], "nhead": [-1, 2], "blocks": [[1, 2], [2, 1]],
    "block_repeat": [[1, 1], [2, 1]], "level_config": ["CT", "CTA"], "c_clip": 16, "c_clip_seq": 2,
}  # fmt: skip
STAGE_A = {"c_hidden": 16, "bottleneck_blocks": 1, "codebook_size": 16}

# The tiny world's vocabulary: letters, letters that end words, "do", "dog" that ends a word, start, end.
IDS = {"": [], "a dog": [36, 73], "a cat": [36, 2, 0, 55]}


def cosine_levels(start: float, steps: int, shift: float) -> tuple[torch.Tensor, list[tuple[float, float]]]:
    """The noise conditions of the steps, and the scales of signal and noise of each level."""
    t = torch.linspace(start, 0, steps + 1).double()
    logSNR = schedule(t, "cosine", shift)
    return noise_cond(logSNR, "cosine"), [tuple(scale.item() for scale in scales(value, "vp")) for value in logSNR]


def sample(x, predict, steps, shift, cfg, start=1.0, settle=lambda x, a, b: x):
    """DDIM; `predict` takes latents, noise condition, the step and whether it is conditioned."""
    told, levels = cosine_levels(start, steps, shift)
    for i in range(steps):
        r = told[i].float().expand(len(x))
        conditioned, free = predict(x, r, i, True), predict(x, r, i, False)
        guided = free + cfg * (conditioned - free)
        guided = 0.7 * guided * (conditioned.std() / guided.std()) + 0.3 * guided
        (a, b), (a_then, b_then) = levels[i], levels[i + 1]
        x0 = (x.double() - b * guided.double()) / a
        if i + 1 < steps:
            x = settle(a_then * x0 + b_then * guided.double(), a_then, b_then).float()
    return settle(x0, 1.0, 0.0).float()


class World:
    """All networks, drawn from their names."""

    def __init__(self, c: dict, b: dict) -> None:
        self.arch = {"stage_c": STAGE_C | c, "stage_b": STAGE_B | b, "text": TEXT, "vision": VISION}
        self.text = clip_text.make(TEXT)
        self.vision = clip_vision.make(VISION)
        self.c = stage_c.make(self.arch["stage_c"])
        self.b = stage_b.make(self.arch["stage_b"])
        self.a = stage_a.make(STAGE_A)
        self.effnet = EffNet()
        self.states = {
            "text": (self.text, lambda t: t),
            "vision": (self.vision, lambda t: t),
            "stage_c": (self.c, stage_c.reference_state),
            "stage_b": (self.b, stage_b.reference_state),
            "stage_a": (self.a, lambda t: {k.replace("vquantizer.embedding.", "vquantizer.codebook."): v for k, v in t.items()}),
            "effnet": (self.effnet, lambda t: t),
        }  # fmt: skip
        self.shapes = {name: self.draw(*parts) for name, parts in self.states.items()}
        stage_c.calm(self.c), stage_c.calm(self.b)
        self.scales = drawn.measure_scales(self.effnet, normal(torch.Generator().manual_seed(1), 1, 3, 96, 96))

    def draw(self, network, rename) -> dict:
        """Fills a network by the keys of its official checkpoint, and gives the shapes of those."""
        # Under official names, so that Swift draws the same: each tensor tells which elements of the network it is.
        own = {key: tensor for key, tensor in network.state_dict().items() if tensor.is_floating_point()}
        shapes = {key: tensor.shape for key, tensor in rename(own).items()}
        values = {key: drawn.weight(key, shape) for key, shape in shapes.items()}
        with torch.no_grad():
            for key, tensor in own.items():
                tensor.copy_(official(key, values, rename, own))
        return {key: list(shape) for key, shape in shapes.items()}

    def encode(self, prompt: str) -> dict[str, torch.Tensor]:
        ids = [74, *IDS[prompt], 75]
        mask = torch.tensor([[1] * len(ids) + [0] * (77 - len(ids))])
        tokens = torch.tensor([ids + [75] * (77 - len(ids))])
        output = clip_text.forward(self.text, tokens, mask)
        return {"clip_text": output["hidden"], "clip_text_pooled": output["pooled"][:, None]}

    def stages(self, noise, texts, image=None, start=None, at=lambda i: {}, before=lambda i: None, settle=None):
        """Latents of Stage C and B and the pixels; `at` gives what ControlNets add at a step."""
        zeros = torch.zeros(1, 1, 8)
        conditions = [texts[0] | {"clip_img": zeros if image is None else image}, texts[1] | {"clip_img": zeros}]

        def predict_c(x, r, i, is_conditioned):
            before(i)
            inputs = conditions[0 if is_conditioned else 1] | {"x": x, "r": r} | at(i)
            return stage_c.forward(self.c, inputs)

        denoise, x, steps = (1.0, noise["stage_c"], 20) if start is None else start
        c = sample(x, predict_c, steps, 2.0, 4.0, denoise, settle or (lambda x, a, b: x))
        return {"stage_c": c} | self.decode(noise["stage_b"], c, texts)

    def decode(self, noise, effnet, texts):
        def predict_b(x, r, i, is_conditioned):
            text = texts[0 if is_conditioned else 1]["clip_text_pooled"]
            condition = effnet if is_conditioned else torch.zeros_like(effnet)
            return stage_b.forward(self.b, {"x": x, "r": r, "clip": text, "effnet": condition})

        b = sample(noise, predict_b, 10, 1.0, 1.1)
        return {"stage_b": b, "image": stage_a.decode(self.a, b)}

    def write(self, name: str, inputs: dict, outputs: dict, **more) -> None:
        parts = {"in": inputs, "out": outputs, "scale": self.scales if more.get("needs_effnet") else {}}
        parts |= more.get("parts", {})
        networks = {key: shapes for key, shapes in self.shapes.items() if key != "effnet" or more.get("needs_effnet")}
        golden.write(
            f"generation_{name}", "generate", self.arch, ["diffusers", "transformers", "torchvision"], parts,
            shapes=json.dumps(networks), **more.get("metadata", {}),
        )  # fmt: skip


def official(key, values, rename, own):
    """What the official values say of a tensor of the network."""
    if ".attention.to_" in key and ".to_out." not in key:
        start, end = key.split(".attention.to_")
        part, kind = end.split(".")
        rows = values[f"{start}.attention.attn.in_proj_{kind}"].chunk(3)
        return rows["qkv".index(part)]
    (name,) = rename({key: own[key]}).keys()
    return values[name]


def noise(seed: int, world: World) -> dict[str, torch.Tensor]:
    """What an image of 128 x 96 pixels begins with."""
    generator = torch.Generator().manual_seed(seed)
    patch = world.arch["stage_c"].get("patch_size", 1)
    height, width = ((side + patch - 1) // patch * patch for side in (3, 3))  # ceil of 96 and 128 over 42.67
    return {"stage_c": normal(generator, 1, 16, height, width), "stage_b": normal(generator, 1, 4, 24, 32)}


def draw_image(seed: int, width: int, height: int, channels: int = 3) -> torch.Tensor:
    """Bytes [H, W, C] as numbers."""
    coarse = torch.rand(1, channels, 5, 7, generator=torch.Generator().manual_seed(seed))
    smooth = functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth[0].permute(1, 2, 0) * 255).round()


def planes(image: torch.Tensor) -> torch.Tensor:
    return image.permute(2, 0, 1)[None] / 255


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 1, 3, 1, 1)
    return (images - mean) / deviation


def write_plain() -> None:
    three = {
        "patch_size": 2, "c_hidden": [8, 16, 12], "nhead": [-1, 2, 3], "blocks": [[1, 1, 1], [2, 1, 1]],
        "block_repeat": [[1, 1, 1], [1, 1, 1]], "level_config": ["CT", "CTA", "CTA"], "switch_level": [False, True],
        "self_attn": [True, True, True],
    }  # fmt: skip
    cases = {
        "plain": ({}, {}),
        "levels": (three, {"c_hidden": [8, 16, 16], "nhead": [-1, 2, 4], "blocks": [[1, 1, 1], [1, 1, 2]],
                           "block_repeat": [[1, 1, 1], [1, 2, 1]], "level_config": ["CT", "CTA", "CTA"]}),
        "repeats": ({"block_repeat": [[1, 2], [3, 1]], "self_attn": [False, True], "kernel_size": 5},
                    {"self_attn": [True, False], "c_clip_seq": 4}),
    }  # fmt: skip
    for number, (name, (c, b)) in enumerate(cases.items()):
        world = World(c, b)
        given = noise(number, world)
        world.write(name, given, world.stages(given, (world.encode("a dog"), world.encode("a cat"))))


def write_adapters() -> None:
    """Two LoRAs and two ControlNets, each with a strength and a window of steps."""
    world = World({}, {})
    given, generator = noise(10, world), torch.Generator().manual_seed(11)
    uses, parts = [], {}
    for number, (modules, strength, window) in enumerate(
        [(["to_q", "to_v"], 0.7, (0.0, 0.5)), (["to_q", "to_out.0"], -1.3, (0.25, 1.0))]
    ):
        layers = {}
        for path, module in world.c.named_modules():
            if any(path.endswith(f".attention.{end}") for end in modules):
                down, up = normal(generator, 2, module.in_features), normal(generator, module.out_features, 2)
                layers[path] = (0.3 * down, 0.3 * up)
        uses.append((layers, strength, window))
        parts[f"lora{number}"] = {
            lora.native_key(f"{path}.lora_{half}.default.weight"): tensor
            for path, pair in layers.items() for half, tensor in zip("AB", pair)
        }  # fmt: skip
    base = {path: module.weight.detach().clone() for path, module in world.c.named_modules() if hasattr(module, "in_features")}

    def before(i: int) -> None:
        for path, weight in base.items():
            changed = weight.clone()
            for layers, strength, (first, until) in uses:
                if path in layers and first <= i / 20 < until:
                    down, up = layers[path]
                    changed += strength * (up @ down)  # alpha equals the rank
            world.c.get_submodule(path).weight.data = changed

    controls, images = [], {}
    for number, (c_in, blocks, size, strength, window) in enumerate(
        [(1, [0, 3], (32, 24), 0.8, (0.0, 0.6)), (3, [0, 2, 5], (20, 28), 0.5, (0.3, 1.0))]
    ):
        network = controlnet.ControlNet(c_in, 16, blocks, "simple")
        drawn.fill(network)
        # Two ControlNets have keys of the same names.
        with torch.no_grad():
            for tensor in network.parameters():
                tensor.mul_(1 - 0.5 * number)
        image = draw_image(20 + number, *size)
        images[f"control{number}"] = image
        condition = planes(image)[:, :c_in]
        controls.append((network(condition), strength, window))
        parts[f"controlnet{number}"] = dict(network.state_dict())

    def at(i: int) -> dict[str, torch.Tensor]:
        sums = {}
        for outputs, strength, (first, until) in controls:
            if first <= i / 20 < until:
                for key, tensor in outputs.items():
                    sized = functional.interpolate(tensor, (3, 3), mode="bilinear", align_corners=True)
                    sums[key] = sums.get(key, 0) + strength * sized
        return sums

    texts = (world.encode("a dog"), world.encode(""))
    world.write("adapters", given | images, world.stages(given, texts, at=at, before=before), parts=parts)


def write_start() -> None:
    """From an image, with and without a mask."""
    world = World({}, {})
    given, image = noise(30, world), draw_image(31, 80, 64)
    fitted = functional.interpolate(planes(image[:, 8:72]), (96, 96), mode="bilinear", antialias=True)
    clean = world.effnet(normalised(fitted))
    (signal,), (noisy,) = scales(schedule(torch.tensor([0.6]).double(), "cosine", 1.0), "vp")
    begin = (signal * clean.double() + noisy * given["stage_c"].double()).float()
    texts = (world.encode("a dog"), world.encode(""))
    whole = world.stages(given, texts, start=(0.6, begin, 12))
    hole = torch.zeros(64, 80, 3)
    hole[:20, 30:45] = 255
    sized = functional.interpolate(planes(hole[:, 8:72])[:, :1], (96, 96), mode="bilinear", antialias=True)
    mask = functional.max_pool2d((sized > 0.5).float(), 32)

    def settle(x, a, b):
        return torch.where(mask > 0, x, a * clean.double() + b * given["stage_c"].double())

    masked = world.stages(given, texts, start=(0.6, begin, 12), settle=settle)
    inputs = given | {"image": image, "hole": hole[..., :1]}
    outputs = {"stage_c": whole["stage_c"], "masked": masked["stage_c"], "clean": clean, "mask": mask}
    world.write("start", inputs, outputs, needs_effnet=True)


def write_vary() -> None:
    world = World({}, {})
    given, image = noise(40, world), draw_image(41, 80, 64)
    short = functional.interpolate(planes(image), (768, 960), mode="bilinear", antialias=True)
    seen = clip_vision.forward(world.vision, clip_vision.preprocess(short, 32))[:, None]
    texts = (world.encode(""), world.encode(""))
    world.write("vary", given | {"image": image}, world.stages(given, texts, image=seen))


def write_reconstruct() -> None:
    world = World({}, {})
    image = draw_image(51, 96, 64)
    given = {"stage_b": normal(torch.Generator().manual_seed(50), 1, 4, 16, 24)}
    small = functional.interpolate(planes(image), (32, 64), mode="nearest")
    effnet = world.effnet(normalised(small))
    outputs = {"effnet": effnet} | world.decode(given["stage_b"], effnet, (world.encode(""), world.encode("")))
    outputs["by_a"] = stage_a.decode(world.a, stage_a.encode(world.a, planes(image)))
    world.write("reconstruct", given | {"image": image}, outputs, needs_effnet=True)


if __name__ == "__main__":
    with torch.no_grad():
        write_plain()
        write_adapters()
        write_start()
        write_vary()
        write_reconstruct()
