"""Random cases for each module of `forward`: configurations, sizes, weights and inputs drawn from one generator."""

import random
from collections.abc import Callable

import torch

import clip_text
import clip_vision
import controlnet
import lora
import sampling
import stage_a
import stage_b
import stage_c
from case import Case, gradients, measure_batch_norms, redraw, state
from diffusion_draws import diffuse_case
from effnet import EffNet
from previewer import Previewer


class Draw:
    """Choices and tensors from one seed."""

    def __init__(self, seed: int):
        self.choices = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)

    def one(self, *options):
        return self.choices.choice(options)

    def whole(self, low: int, high: int) -> int:
        return self.choices.randint(low, high)

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator)

    def uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=self.generator)


def stage_c_arch(draw: Draw) -> dict:
    """One to three levels, every constructor value away from its default now and then."""
    levels = draw.one(1, 2, 2, 3)
    heads = [draw.whole(1, 4) for _ in range(levels)]
    layers = ["C", "CT", "CTA", "CTA", "CTA", "CTCA"]
    level_config = [draw.one(*layers) for _ in range(levels)]
    return {
        "c_in": draw.one(4, 16),
        "c_out": draw.one(4, 16),
        "c_r": draw.one(16, 33, 64),
        "patch_size": draw.one(1, 1, 2),
        "c_cond": draw.one(24, 40),
        "c_hidden": [8 * h * draw.whole(1, 2) for h in heads],
        "nhead": [h if "A" in config else -1 for h, config in zip(heads, level_config)],
        "blocks": [[draw.whole(1, 3) for _ in range(levels)] for _ in range(2)],
        "block_repeat": [[draw.one(1, 1, 2, 3) for _ in range(levels)] for _ in range(2)],
        "level_config": level_config,
        "c_clip_text": draw.one(20, 32),
        "c_clip_text_pooled": draw.one(12, 24),
        "c_clip_img": draw.one(8, 24),
        "c_clip_seq": draw.whole(1, 4),
        "kernel_size": draw.one(1, 3, 3, 5),
        "self_attn": draw.one(True, True, False, [draw.one(True, False) for _ in range(levels)]),
        "t_conds": draw.one([], ["sca"], ["sca", "crp"], ["crp", "sca"]),
        "switch_level": [draw.one(True, False) for _ in range(levels - 1)],
    }


def stage_c_inputs(draw: Draw, arch: dict, widths: list[int], injected: bool) -> dict[str, torch.Tensor]:
    """Latents of any shape that `patch_size` divides; conditions at other sizes than the blocks they go to."""
    batch, patch = draw.whole(1, 3), arch["patch_size"]
    height, width = patch * draw.whole(4, 9), patch * draw.whole(4, 9)
    inputs = {
        "x": draw.normal(batch, arch["c_in"], height, width),
        "r": draw.uniform(batch),
        "clip_text": draw.normal(batch, draw.whole(1, 9), arch["c_clip_text"]),
        "clip_text_pooled": draw.normal(batch, 1, arch["c_clip_text_pooled"]),
        "clip_img": draw.normal(batch, 1, arch["c_clip_img"]),
    }
    for name in arch["t_conds"]:
        if draw.one(True, False):
            inputs[name] = draw.uniform(batch)
    if injected:
        for index in sorted(draw.choices.sample(range(len(widths)), draw.whole(1, min(4, len(widths))))):
            inputs[f"cnet.{index}"] = draw.normal(batch, widths[index], draw.whole(1, 12), draw.whole(1, 12))
    return inputs


def stage_c_case(draw: Draw) -> Case:
    """Half of them with injections; the output, the gradient of every weight, or that of an adapter."""
    arch = stage_c_arch(draw)
    network = redraw(stage_c.make(arch), draw.generator)
    inputs = stage_c_inputs(draw, arch, stage_c.block_widths(network), injected=draw.one(True, False))
    kind = draw.one("output", "output", "weights", "adapter", "adapter output")
    case = Case("stage-c", arch, inputs, {}, stage_c.reference_state(network.state_dict()))
    if "adapter" in kind:
        case.rank, case.alpha = draw.whole(1, 4), draw.one(1.0, 4.0, 8.0)
        attached = lora.CHANNELWISE if not any("A" in level for level in arch["level_config"]) else lora.ATTENTION
        layers = lora.attach(network, case.rank, case.alpha, draw.one(attached, lora.CHANNELWISE))
        if draw.one(True, False) and case.rank <= arch["kernel_size"] ** 2:
            layers |= lora.attach_depthwise(network, case.rank, case.alpha)
        lora.draw(layers, draw.generator)
        case.adapter = {key: layer.detach().flatten(1).clone() for key, layer in layers.items()}
    if kind in ("output", "adapter output"):
        with torch.no_grad():
            case.outputs = {"out": stage_c.forward(network, inputs)}
        return case
    case.gradients = True
    out = stage_c.forward(network, inputs)
    inputs["target"] = draw.normal(*out.shape)
    loss = (out - inputs["target"]).square().mean()
    found = gradients(layers if kind == "adapter" else dict(network.named_parameters()), loss)
    if kind == "adapter":
        found = {key: gradient.flatten(1) for key, gradient in found.items()}
    else:
        found = stage_c.reference_state(found)
    case.outputs = {"loss": loss.detach()} | {f"grad.{key}": gradient for key, gradient in found.items()}
    return case


def stage_b_arch(draw: Draw) -> dict:
    """One to four levels, repeated on either way, now and then with Stage C's changes of level."""
    levels = draw.one(1, 2, 3, 4)
    heads = [draw.whole(1, 4) for _ in range(levels)]
    level_config = [draw.one("C", "CT", "CT", "CTA", "CTA") for _ in range(levels)]
    arch = {
        "c_in": draw.one(4, 8),
        "c_out": draw.one(4, 8),
        "c_r": draw.one(16, 33, 64),
        "patch_size": draw.one(1, 2, 2),
        "c_cond": draw.one(24, 40),
        "c_hidden": [8 * h * draw.whole(1, 2) for h in heads],
        "nhead": [h if "A" in config else draw.one(-1, h) for h, config in zip(heads, level_config)],
        "blocks": [[draw.whole(1, 2) for _ in range(levels)] for _ in range(2)],
        "block_repeat": [[draw.one(1, 1, 2) for _ in range(levels)], [draw.one(1, 2, 3) for _ in range(levels)]],
        "level_config": level_config,
        "c_clip": draw.one(20, 32),
        "c_clip_seq": draw.whole(1, 4),
        "c_effnet": draw.one(4, 16),
        "c_pixels": 3,
        "kernel_size": draw.one(1, 3, 3, 5),
        "self_attn": draw.one(True, True, False, [draw.one(True, False) for _ in range(levels)]),
        "t_conds": draw.one([], ["sca"], ["sca"], ["sca", "crp"]),
    }
    if draw.one(True, False, False):
        arch["switch_level"] = [draw.one(True, False) for _ in range(levels - 1)]
    return arch


def stage_b_case(draw: Draw) -> Case:
    """Latents of sides that halve evenly or not; conditions of other sizes than theirs."""
    arch = stage_b_arch(draw)
    network = redraw(stage_b.make(arch), draw.generator)
    batch, least = draw.whole(1, 3), 2 ** (len(arch["c_hidden"]) - 1)
    height, width = (arch["patch_size"] * draw.whole(least, least + 9) for _ in range(2))
    inputs = {
        "x": draw.normal(batch, arch["c_in"], height, width),
        "r": draw.uniform(batch),
        "effnet": draw.normal(batch, arch["c_effnet"], draw.whole(1, 9), draw.whole(1, 9)),
        "clip": draw.normal(batch, 1, arch["c_clip"]),
    }
    if draw.one(True, False):
        inputs["pixels"] = draw.normal(batch, 3, draw.whole(1, 9), draw.whole(1, 9))
    if "sca" in arch["t_conds"] and draw.one(True, False):
        inputs["sca"] = draw.uniform(batch)
    with torch.no_grad():
        out = stage_b.forward(network, inputs)
    return Case("stage-b", arch, inputs, {"out": out}, stage_b.reference_state(network.state_dict()))


def stage_a_network(draw: Draw) -> tuple[dict, torch.nn.Module]:
    """One to three levels, batch norms measured."""
    levels = draw.whole(1, 3)
    arch = {
        "levels": levels,
        "bottleneck_blocks": draw.whole(1, 4),
        "c_hidden": 2 ** (levels - 1) * draw.whole(6, 16),
        "c_latent": draw.one(4, 6),
        "codebook_size": draw.one(16, 64),
        "scale_factor": draw.one(0.43, 0.3764, 1.0),
    }
    network = stage_a.draw(stage_a.make(arch), draw.generator)
    measure_batch_norms(network, draw.uniform(2, 3, 64, 64))
    return arch, network


def stage_a_encode_case(draw: Draw) -> Case:
    """Images of any even sides."""
    arch, network = stage_a_network(draw)
    images = draw.uniform(draw.whole(1, 3), 3, 2 * draw.whole(4, 40), 2 * draw.whole(4, 40))
    with torch.no_grad():
        latents = stage_a.encode(network, images)
    return Case("stage-a-encode", arch, {"images": images}, {"latents": latents}, stage_a.reference_state(network))


def stage_a_decode_case(draw: Draw) -> Case:
    """Latents of any sides."""
    arch, network = stage_a_network(draw)
    latents = draw.normal(draw.whole(1, 3), arch["c_latent"], draw.whole(1, 12), draw.whole(1, 12))
    with torch.no_grad():
        images = stage_a.decode(network, latents)
    return Case("stage-a-decode", arch, {"latents": latents}, {"images": images}, stage_a.reference_state(network))


def draw_image(draw: Draw, channels: int, batch: int, step: int) -> torch.Tensor:
    """A random image [B, channels, H, W] in 0...1 of any shape above 32 pixels, sides in multiples of `step`."""
    sides = [step * draw.whole(-(-33 // step), 160 // step) for _ in range(2)]
    return draw.uniform(batch, channels, *sides)


def controlnet_case(draw: Draw) -> Case:
    """Mostly the EffNet trunk; the large one (170 M parameters) in one case of twelve."""
    mode = draw.one(*["effnet"] * 7, *["simple"] * 4, "large")
    blocks = sorted(draw.choices.sample(range(64), draw.whole(1, 4)))
    c_in = draw.one(1, 3, 4, 10) if mode == "effnet" else draw.one(3, 16)
    arch = {"c_in": c_in, "c_proj": draw.one(24, 64), "proj_blocks": blocks, "bottleneck_mode": mode}
    network = redraw(controlnet.ControlNet(**arch), draw.generator)
    if mode == "effnet":
        measure_batch_norms(network, draw.uniform(3, c_in, 192, 192))
        image = draw_image(draw, c_in, draw.whole(1, 3), step=1)
    else:
        image = draw.uniform(draw.whole(1, 2), c_in, draw.whole(3, 9), draw.whole(3, 9))
    case = Case("controlnet", arch, {"image": image}, {}, state(network), bar=1e-3)
    case.gradients = mode != "large" and draw.one(True, False)
    with torch.set_grad_enabled(case.gradients):
        outputs = network(image)
    if case.gradients:
        targets = {key.replace("cnet.", "target."): draw.normal(*tensor.shape) for key, tensor in outputs.items()}
        case.inputs |= targets
        loss = controlnet.loss(outputs, targets)
        found = gradients(dict(network.named_parameters()), loss)
        case.outputs = {"loss": loss.detach()} | {f"grad.{key}": gradient for key, gradient in found.items()}
    else:
        case.outputs = outputs
    return case


def effnet_case(draw: Draw) -> Case:
    """Normalised images of any shape."""
    arch = {"c_latent": draw.one(4, 16)}
    network = redraw(EffNet(**arch), draw.generator)
    measure_batch_norms(network, draw.uniform(3, 3, 192, 192) * 4 - 2)
    images = draw_image(draw, 3, draw.whole(1, 3), step=draw.one(1, 32)) * 4 - 2
    with torch.no_grad():
        return Case("effnet", arch, {"images": images}, {"latents": network(images)}, state(network), bar=1e-3)


def previewer_case(draw: Draw) -> Case:
    """Latents of any shape."""
    arch = {"c_in": draw.one(4, 16), "c_hidden": draw.one(16, 64), "c_out": draw.one(1, 3)}
    network = redraw(Previewer(**arch), draw.generator)
    latents = draw.normal(draw.whole(1, 3), arch["c_in"], draw.whole(2, 12), draw.whole(2, 12))
    measure_batch_norms(network, draw.normal(2, arch["c_in"], 12, 12))
    with torch.no_grad():
        return Case("previewer", arch, {"latents": latents}, {"images": network(latents)}, state(network))


def clip_text_arch(draw: Draw) -> dict:
    """A small tower under either rule for the pooled position."""
    heads, vocabulary = draw.whole(1, 4), draw.whole(40, 90)
    return {
        "hidden_size": 16 * heads,
        "intermediate_size": draw.one(48, 96),
        "num_hidden_layers": draw.whole(1, 4),
        "num_attention_heads": heads,
        "max_position_embeddings": 77,
        "vocab_size": vocabulary,
        "projection_dim": draw.one(24, 40),
        "hidden_act": draw.one("gelu", "quick_gelu"),
        "layer_norm_eps": 1e-5,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": draw.one(2, vocabulary - 1),
        "pad_token_id": draw.one(0, 1),
    }


def clip_text_inputs(draw: Draw, arch: dict) -> dict[str, torch.Tensor]:
    """Captions of several lengths: start, words, end, padding that the mask leaves out."""
    batch, length, end = draw.whole(1, 3), draw.one(8, 20, 77), arch["vocab_size"] - 1
    tokens = torch.randint(3, end - 1, (batch, length), generator=draw.generator)
    mask = torch.ones(batch, length, dtype=torch.int64)
    for row in range(batch):
        words = draw.whole(1, length - 2)
        tokens[row, 0], tokens[row, words + 1] = end - 1, end
        tokens[row, words + 2 :] = arch["pad_token_id"]
        mask[row, words + 2 :] = 0
    return {"tokens": tokens, "attention_mask": mask}


def clip_text_case(draw: Draw) -> Case:
    """A tower of random weights on random captions."""
    arch = clip_text_arch(draw)
    tower = redraw(clip_text.make(arch), draw.generator)
    inputs = clip_text_inputs(draw, arch)
    with torch.no_grad():
        return Case("clip-text", arch, inputs, clip_text.forward(tower, **inputs), state(tower))


def clip_vision_case(draw: Draw) -> Case:
    """A small tower, its configuration alone or within a whole CLIP's; the sides need not divide into patches."""
    heads = draw.whole(1, 4)
    arch = {
        "hidden_size": 16 * heads,
        "intermediate_size": draw.one(48, 96),
        "num_hidden_layers": draw.whole(1, 4),
        "num_attention_heads": heads,
        "image_size": draw.whole(20, 60),
        "patch_size": draw.whole(6, 16),
        "projection_dim": draw.one(24, 40),
        "hidden_act": draw.one("gelu", "quick_gelu"),
        "layer_norm_eps": 1e-5,
    }
    tower = redraw(clip_vision.make(arch), draw.generator)
    images = draw.normal(draw.whole(1, 3), 3, arch["image_size"], arch["image_size"])
    with torch.no_grad():
        embeds = clip_vision.forward(tower, images)
    given = draw.one(arch, {"model_type": "clip", "vision_config": arch, "projection_dim": 7})
    return Case("clip-vision", given, {"images": images}, {"embeds": embeds}, state(tower))


def sample_case(draw: Draw) -> Case:
    """Twenty steps of a random Stage C: guidance with rescale, windows, unconditional inputs of other sizes."""
    arch = stage_c_arch(draw)
    arch |= {"c_out": arch["c_in"], "t_conds": []}
    network = stage_c.calm(redraw(stage_c.make(arch), draw.generator))
    widths = stage_c.block_widths(network)
    guided, free = (stage_c_inputs(draw, arch, widths, injected=draw.one(True, False)) for _ in range(2))
    shape = guided["x"].shape
    guided = {key: tensor for key, tensor in guided.items() if key not in ("x", "r")}
    # The other draw has a batch of its own.
    free = {
        key: tensor[:1].expand(shape[0], *tensor.shape[1:]).contiguous()
        for key, tensor in free.items()
        if key not in ("x", "r")
    }
    settings = {
        "sampler": draw.one("ddim", "ddim", {"name": "ddim", "eta": 0.5}, "ddpm", "lcm"),
        "schedule": draw.one("cosine", {"name": "linear", "logsnr_range": [-8, 8]}, {"name": "cosine", "shift": 0.5}),
        "shift": draw.one(1.0, 2.0),
        "timesteps": 20,
        "cfg": draw.one(None, 1.5, 4.0, [4.0, 1.0]),
        "cfg_rho": draw.one(0.0, 0.7),
        "target": draw.one("epsilon", "epsilon", "v", "rectified_flow"),
        "scaler": draw.one("vp", "vp", "lerp"),
        "cfg_t_start": draw.one(None, 0.8),
        "cfg_t_stop": draw.one(None, 0.2),
    }
    if settings["sampler"] in ("ddpm", {"name": "ddim", "eta": 0.5}):
        settings["scaler"] = "vp"  # elsewhere there may be more fresh noise than noise
    x = draw.normal(*shape)

    def predict(x: torch.Tensor, r: torch.Tensor, conditioned: bool) -> torch.Tensor:
        return stage_c.forward(network, {"x": x, "r": r} | (guided if conditioned else free))

    with torch.no_grad():
        outputs = {"out": sampling.sample(x, settings, predict)}
    inputs = {"x_init": x} | guided | {f"uncond.{key}": tensor for key, tensor in free.items()}
    weights = stage_c.reference_state(network.state_dict())
    return Case("sample", {"stage_c": arch, **settings}, inputs, outputs, weights, bar=1e-3)


MODULES: dict[str, Callable[[Draw], Case]] = {
    "stage-c": stage_c_case,
    "stage-b": stage_b_case,
    "stage-a-encode": stage_a_encode_case,
    "stage-a-decode": stage_a_decode_case,
    "controlnet": controlnet_case,
    "effnet": effnet_case,
    "previewer": previewer_case,
    "clip-text": clip_text_case,
    "clip-vision": clip_vision_case,
    "diffuse": diffuse_case,
    "sample": sample_case,
}
