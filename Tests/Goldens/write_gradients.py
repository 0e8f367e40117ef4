"""Writes the goldens of gradients, each by PyTorch's autograd.

Peers: peft 0.21.2 on diffusers 0.42.1 (LoRA), transformers 5.23.0 (token deltas), torchvision 0.29.2 (ControlNet),
all on torch 2.15.0; each file's metadata names what it was written with."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import clip_text
import controlnet
import drawn
import golden
import lora
import stage_c
import tiny
from case import gradients, redraw, state
from golden import edges, normal

SAMPLES = 16


def keyed(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"grad.{key}": gradient for key, gradient in found.items()}


def write_lora() -> None:
    """Rank 4 at alpha 8 on attention and channelwise linears, one injection; loss: mean squared error of `out`.

    A second golden has the answers with dropout to the same inputs."""
    generator = torch.Generator().manual_seed(700)
    network = tiny.make_stage_c(generator)
    weights = stage_c.reference_state(network.state_dict())
    layers = lora.attach(network, 4, 8.0, lora.ATTENTION + lora.CHANNELWISE)
    lora.draw(layers, generator)
    inputs = {"x": normal(generator, 2, 4, 6, 5), "r": torch.rand(2, generator=generator)}
    inputs |= tiny.conditions(generator, 2) | {"cnet.1": normal(generator, 2, 16, 3, 4)}
    out = stage_c.forward(network, inputs)
    inputs["target"] = normal(generator, *out.shape)
    loss = (out - inputs["target"]).square().mean()
    outputs = {"out": out, "loss": loss} | keyed(gradients(layers, loss))
    parts = {"in": inputs, "out": outputs, "weights": weights, "adapter": layers}
    golden.write("gradients_lora", "stage-c", tiny.STAGE_C, ["peft", "diffusers"], parts, rank="4", alpha="8")

    # The same with a quarter of each layer's input dropped.
    lora.drop(network, 0.25, seed=701, tokens=6 * 5)
    out = stage_c.forward(network, inputs)
    loss = (out - inputs["target"]).square().mean()
    outputs = {"out": out} | keyed(gradients(layers, loss))
    peers = ["peft", "diffusers"]
    golden.write("gradients_lora_dropout", "stage-c", tiny.STAGE_C, peers, {"out": outputs}, rate="0.25", seed="701")


def write_lora_convolutions() -> None:
    """Rank 3 at alpha 6 on every convolution, the depthwise kernels too; the native file keeps matrices."""
    generator = torch.Generator().manual_seed(740)
    arch = tiny.STAGE_C | {
        "c_hidden": [8, 8], "nhead": [2, 2], "blocks": [[1, 1], [1, 1]], "c_cond": 8, "switch_level": [True],
    }  # fmt: skip
    network = tiny.make_stage_c(generator, arch)
    weights = stage_c.reference_state(network.state_dict())
    layers = lora.attach(network, 3, 6.0, lora.CONVOLUTIONS) | lora.attach_depthwise(network, 3, 6.0)
    lora.draw(layers, generator)
    inputs = {"x": normal(generator, 2, 4, 6, 5), "r": torch.rand(2, generator=generator)}
    inputs |= tiny.conditions(generator, 2)
    out = stage_c.forward(network, inputs)
    inputs["target"] = normal(generator, *out.shape)
    loss = (out - inputs["target"]).square().mean()
    matrices = {key: layer.flatten(1) for key, layer in layers.items()}
    found = {key: gradient.flatten(1) for key, gradient in gradients(layers, loss).items()}
    parts = {"in": inputs, "out": {"out": out, "loss": loss} | keyed(found), "weights": weights, "adapter": matrices}
    peers = ["peft", "diffusers"]
    golden.write("gradients_lora_convolutions", "stage-c", arch, peers, parts, rank="3", alpha="6")


def write_tokens() -> None:
    """Deltas on two rows; loss: mean squared error of `hidden` plus that of `pooled`, under both pooling rules."""
    for name, end in (("end_token", 37), ("largest_token", 2)):
        generator = torch.Generator().manual_seed(710)
        arch = tiny.CLIP_TEXT | {"eos_token_id": end}
        tower = redraw(clip_text.make(arch), generator).requires_grad_(False)
        deltas = (0.3 * normal(generator, 2, 24)).requires_grad_()
        inputs = {"tokens": tiny.CAPTIONS, "attention_mask": tiny.mask(tiny.CAPTIONS)}
        outputs = clip_text.forward(tower, **inputs, indices=tiny.LEARNED, deltas=deltas)
        targets = {f"target.{key}": normal(generator, *tensor.shape) for key, tensor in outputs.items()}
        loss = sum((outputs[key] - targets[f"target.{key}"]).square().mean() for key in outputs)
        parts = {
            "in": inputs | targets,
            "out": outputs | {"loss": loss} | keyed(gradients({"deltas": deltas}, loss)),
            "weights": state(tower),
            "tokens": {"indices": tiny.LEARNED, "deltas": deltas},
        }
        golden.write(f"gradients_tokens_{name}", "clip-text", arch, ["transformers"], parts)


def write_controlnet_simple() -> None:
    """Every gradient of the simple trunk and its projections; loss: sum over blocks of mean squared errors."""
    generator = torch.Generator().manual_seed(720)
    arch = {"c_in": 4, "c_proj": 24, "proj_blocks": [0, 3], "bottleneck_mode": "simple"}
    network = redraw(controlnet.ControlNet(**arch), generator)
    image = torch.rand(2, 4, 7, 5, generator=generator)
    inputs, outputs = controlnet_answers(network, image, generator)
    parts = {"in": inputs, "out": outputs, "weights": state(network)}
    golden.write("gradients_controlnet_simple", "controlnet", arch, [], parts)


def write_controlnet_effnet() -> None:
    """Of the EffNet trunk and its projections, too large to store: each gradient's norm and 16 of its elements.

    Element j of the sample is number j * count / 16, rounded down, of the flattened gradient, so nothing is sampled
    twice; a gradient of fewer than 16 elements is stored whole. `autocast.*` are the errors of the same under bfloat16's
    autocast, relative, of each answer and in the mean of all sampled gradients."""
    generator = torch.Generator().manual_seed(730)
    arch = {"c_in": 1, "c_proj": 32, "proj_blocks": [0, 4], "bottleneck_mode": "effnet"}
    network = controlnet.ControlNet(**arch)
    image = edges(generator, 2, 1, 64, 66)
    drawn.fill(network)
    scales = drawn.measure_scales(network, image)
    state_of_draws = generator.get_state()
    inputs, outputs = controlnet_answers(network, image, generator)
    generator.set_state(state_of_draws)
    with torch.autocast("cpu", torch.bfloat16):
        _, rounded = controlnet_answers(network, image, generator)
    errors = []
    for key in [key for key in outputs if key.startswith("grad.")]:
        gradient = outputs.pop(key).flatten()
        outputs[key.replace("grad.", "norm.", 1)] = gradient.double().norm().float().reshape(1)
        count = min(SAMPLES, gradient.numel())
        places = torch.arange(count) * gradient.numel() // count
        outputs[key.replace("grad.", "sample.", 1)] = gradient[places]
        errors.append(error(rounded[key].flatten()[places], gradient[places]))
    for key in [key for key in outputs if key.startswith("cnet.")]:
        outputs[f"autocast.{key}"] = error(rounded[key], outputs[key]).reshape(1)
    outputs["autocast.samples"] = torch.stack(errors).mean().reshape(1)
    parts = {"in": inputs, "out": outputs, "scale": scales}
    golden.write("gradients_controlnet_effnet", "controlnet", arch, ["torchvision"], parts)


def error(found: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """Relative, of all elements together."""
    return (found.float() - exact).norm() / exact.norm()


def controlnet_answers(network: controlnet.ControlNet, image: torch.Tensor, generator: torch.Generator):
    """What `forward controlnet --gradients` is given and returns."""
    outputs = network(image)
    targets = {key.replace("cnet.", "target."): normal(generator, *tensor.shape) for key, tensor in outputs.items()}
    loss = controlnet.loss(outputs, targets)
    found = gradients(dict(network.named_parameters()), loss)
    return {"image": image} | targets, outputs | {"loss": loss} | keyed(found)


if __name__ == "__main__":
    write_lora()
    write_lora_convolutions()
    write_tokens()
    write_controlnet_simple()
    write_controlnet_effnet()
