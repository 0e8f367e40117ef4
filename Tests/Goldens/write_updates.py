"""Writes the goldens of ten updates, a hundred of LoRA and a ControlNet: AdamW, weight decay 0.01 (matrices and kernels), clip 1.0, no warm-up.

Peers: peft 0.21.2 on diffusers 0.42.1 and on transformers 5.23.0 (LoRA), transformers 5.23.0 (learned tokens),
torchvision 0.29.2 (ControlNet), diffusers' networks themselves (Stage C and Stage B whole), all on torch 2.15.0; each
file's metadata names what it was written with.

Inputs are stacked by update, [N, B, ...]; update i takes number i modulo N of each. The loss is the mean over the batch
of P2 weight times the sample's mean squared error of the epsilon; the network is told the cosine noise condition. The
learning rate is the metadata's `lr`; `out.loss` holds each loss before its update."""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import clip_text
import controlnet
import drawn
import golden
import lora
import pyramid_noise
import stage_b
import stage_c
import tiny
import updates
from case import redraw, state
from golden import edges

UPDATES, BATCH = 10, 2
# Of LoRA and the simple ControlNet, which go on with the same inputs.
ADAPTER_UPDATES = 100
# Of a whole network, whose early updates at larger rates make more of rounding.
WHOLE_LR = 1e-3


def write_lora() -> None:
    """Rank 4, alpha 1 on attention and channelwise linears; up starts at zero."""
    generator = torch.Generator().manual_seed(800)
    network = tiny.make_stage_c(generator)
    weights = stage_c.reference_state(network.state_dict())
    layers = lora.attach(network, 4, 1.0, lora.ATTENTION + lora.CHANNELWISE)
    lora.draw(layers, generator, zero_up=True)
    before = {key: layer.detach().clone() for key, layer in layers.items()}
    inputs = tiny.noising(generator, UPDATES, BATCH) | tiny.conditions(generator, 2, BATCH)

    def predict(given, diffused):
        return stage_c.forward(network, given | {"x": diffused["noised"], "r": diffused["noise_cond"]})

    losses = updates.train(inputs, predict, list(layers.values()), updates=ADAPTER_UPDATES)
    parts = {"in": inputs, "out": {"loss": losses}, "weights": weights, "adapter": before}
    golden.write("updates_lora", "stage-c", tiny.STAGE_C, ["peft", "diffusers"], parts, rank="4", alpha="1", lr="0.001")


def write_lora_tokens() -> None:
    """LoRA on attention together with two learned tokens, through the text encoder; deltas start at zero."""
    generator = torch.Generator().manual_seed(810)
    network, tower = tiny.make_stage_c(generator), tiny.make_clip_text(generator)
    weights = stage_c.reference_state(network.state_dict())
    layers = lora.attach(network, 4, 4.0, lora.ATTENTION)
    lora.draw(layers, generator, zero_up=True)
    before = {key: layer.detach().clone() for key, layer in layers.items()}
    deltas = torch.zeros(len(tiny.LEARNED), tiny.CLIP_TEXT["hidden_size"], requires_grad=True)
    tokens = torch.stack([tiny.CAPTIONS[:2], tiny.CAPTIONS[1:]])  # [2, B, T]
    inputs = tiny.noising(generator, UPDATES, BATCH) | {"tokens": tokens, "attention_mask": tiny.mask(tokens)}
    inputs["clip_img"] = tiny.conditions(generator, 2, BATCH)["clip_img"]

    def predict(given, diffused):
        text = clip_text.forward(tower, given["tokens"], given["attention_mask"], tiny.LEARNED, deltas)
        text = {"clip_text": text["hidden"], "clip_text_pooled": text["pooled"].unsqueeze(1)}
        return stage_c.forward(network, given | text | {"x": diffused["noised"], "r": diffused["noise_cond"]})

    losses = updates.train(inputs, predict, list(layers.values()), undecayed=[deltas])
    parts = {
        "in": inputs, "out": {"loss": losses}, "weights": weights, "tower": state(tower), "adapter": before,
        "tokens": {"indices": tiny.LEARNED}, "after": {"deltas": deltas},
    }  # fmt: skip
    arch = {"stage_c": tiny.STAGE_C, "clip_text": tiny.CLIP_TEXT}
    peers = ["peft", "diffusers", "transformers"]
    golden.write("updates_lora_tokens", "stage-c", arch, peers, parts, rank="4", alpha="4", lr="0.001")


def write_lora_text() -> None:
    """LoRA on the attention of both networks; the text encoder's learns at half the rate."""
    generator = torch.Generator().manual_seed(850)
    network, tower = tiny.make_stage_c(generator), tiny.make_clip_text(generator)
    weights, tower_weights = stage_c.reference_state(network.state_dict()), state(tower)
    layers = lora.attach(network, 4, 4.0, lora.ATTENTION)
    text_layers = lora.attach(tower, 4, 4.0, lora.TEXT)
    for drawn_layers in (layers, text_layers):
        lora.draw(drawn_layers, generator, zero_up=True)
    before = {key: layer.detach().clone() for key, layer in (layers | text_layers).items()}
    tokens = torch.stack([tiny.CAPTIONS[:2], tiny.CAPTIONS[1:]])  # [2, B, T]
    inputs = tiny.noising(generator, UPDATES, BATCH) | {"tokens": tokens, "attention_mask": tiny.mask(tokens)}
    inputs["clip_img"] = tiny.conditions(generator, 2, BATCH)["clip_img"]

    def predict(given, diffused):
        text = clip_text.forward(tower, given["tokens"], given["attention_mask"])
        text = {"clip_text": text["hidden"], "clip_text_pooled": text["pooled"].unsqueeze(1)}
        return stage_c.forward(network, given | text | {"x": diffused["noised"], "r": diffused["noise_cond"]})

    text = list(text_layers.values())
    losses = updates.train(inputs, predict, list(layers.values()), text=text, text_lr=5e-4)
    after = {key: text_layers[key] for key in list(text_layers)[:2]}
    parts = {
        "in": inputs, "out": {"loss": losses}, "weights": weights, "tower": tower_weights, "adapter": before,
        "after": after,
    }  # fmt: skip
    arch = {"stage_c": tiny.STAGE_C, "clip_text": tiny.CLIP_TEXT}
    peers = ["peft", "diffusers", "transformers"]
    golden.write("updates_lora_text", "stage-c", arch, peers, parts, rank="4", alpha="4", lr="0.001", text_lr="0.0005")


def write_controlnet(bottleneck_mode: str, lr: float, count: int) -> None:
    """Trunk and projections on a frozen base; each projection's last layer starts at zero.

    The EffNet trunk's weights are drawn by the formula, the simple trunk's and the base's are stored. Adam's first
    steps move every weight by about the rate in the direction of its gradient's sign, so a gradient near zero turns
    rounding into a whole step; through the EffNet trunk's 57 blocks that grows to tens of percent of the loss at 1e-3
    and stays below 1e-5 at 1e-5 (`rounding` prints it)."""
    generator = torch.Generator().manual_seed(820)
    network = tiny.make_stage_c(generator)
    drawn_trunk = bottleneck_mode == "effnet"
    c_in, side = (1, 64) if drawn_trunk else (4, 8)
    arch = {"c_in": c_in, "c_proj": 16, "proj_blocks": [0, 2, 5], "bottleneck_mode": bottleneck_mode}
    control = controlnet.ControlNet(**arch)
    images = edges(generator, 2 * BATCH, c_in, side, side)  # two batches
    if drawn_trunk:
        drawn.fill(control)
        stored = {"scale": drawn.measure_scales(control, images)}
    else:
        redraw(control, generator)
    for projection in control.projections:
        torch.nn.init.zeros_(projection[2].weight)
    if not drawn_trunk:
        stored = {"controlnet": state(control)}
    inputs = tiny.noising(generator, UPDATES, BATCH) | tiny.conditions(generator, 2, BATCH)
    inputs["image"] = images.reshape(2, BATCH, c_in, side, side)

    def predict(given, diffused):
        given = given | control(given["image"]) | {"x": diffused["noised"], "r": diffused["noise_cond"]}
        return stage_c.forward(network, given)

    losses = updates.train(inputs, predict, list(control.parameters()), lr=lr, updates=count)
    parts = {"in": inputs, "out": {"loss": losses}, "weights": stage_c.reference_state(network.state_dict()), **stored}
    arch = {"stage_c": tiny.STAGE_C, "controlnet": arch}
    peers = ["torchvision", "diffusers"]
    golden.write(f"updates_controlnet_{bottleneck_mode}", "controlnet", arch, peers, parts, lr=f"{lr:g}")


def write_stage_c() -> None:
    """Stage C whole, every parameter trained."""
    generator = torch.Generator().manual_seed(830)
    network = tiny.make_stage_c(generator).requires_grad_(True)
    before = stage_c.reference_state(network.state_dict())
    inputs = tiny.noising(generator, UPDATES, BATCH) | tiny.conditions(generator, 2, BATCH)

    def predict(given, diffused):
        return stage_c.forward(network, given | {"x": diffused["noised"], "r": diffused["noise_cond"]})

    losses = updates.train(inputs, predict, list(network.parameters()), lr=WHOLE_LR)
    parts = {"in": inputs, "out": {"loss": losses}, "weights": before}
    golden.write("updates_stage_c", "stage-c", tiny.STAGE_C, ["diffusers"], parts, lr=f"{WHOLE_LR:g}")


def write_stage_b() -> None:
    """Stage B whole with pyramid noise and adaptive weights; one of four samples has no EffNet latents.

    `in.epsilon` is the normal noise and `in.addition.I` what is stretched over it."""
    generator = torch.Generator().manual_seed(840)
    network = tiny.make_stage_b(generator).requires_grad_(True)
    before = stage_b.reference_state(network.state_dict())
    size = (UPDATES, BATCH, tiny.STAGE_B["c_in"], 8, 8)
    inputs = {
        "x0": torch.randn(size, generator=generator),
        "epsilon": torch.randn(size, generator=generator),
        "t": 0.05 + 0.9 * torch.rand(UPDATES, BATCH, generator=generator),
        "effnet": torch.randn(2, BATCH, tiny.STAGE_B["c_effnet"], 3, 3, generator=generator),
        "clip": torch.randn(2, BATCH, 1, tiny.STAGE_B["c_clip"], generator=generator),
    }
    inputs["effnet"][1, 0] = 0
    for index, (height, width, _) in enumerate(pyramid_noise.sizes(8, 8)):
        inputs[f"addition.{index}"] = torch.randn(*size[:3], height, width, generator=generator)

    def predict(given, diffused):
        return stage_b.forward(network, given | {"x": diffused["noised"], "r": diffused["noise_cond"]})

    additions = [tensor for key, tensor in sorted(inputs.items()) if key.startswith("addition.")]
    mixed = [pyramid_noise.mix(epsilon, [a[i] for a in additions]) for i, epsilon in enumerate(inputs["epsilon"])]
    losses = updates.train(
        inputs | {"epsilon": torch.stack(mixed)}, predict, list(network.parameters()), lr=WHOLE_LR,
        adaptive=updates.AdaptiveWeight(),
    )  # fmt: skip
    parts = {"in": inputs, "out": {"loss": losses, "noise": mixed[0]}, "weights": before}
    golden.write("updates_stage_b", "stage-b", tiny.STAGE_B, ["diffusers"], parts, lr=f"{WHOLE_LR:g}")


WRITERS = [
    write_lora,
    write_lora_tokens,
    write_lora_text,
    lambda: write_controlnet("simple", 1e-3, ADAPTER_UPDATES),
    lambda: write_controlnet("effnet", 1e-5, UPDATES),
    write_stage_c,
    write_stage_b,
]


def rounding() -> None:
    """How far other sums of the same numbers move the losses: one thread and no oneDNN against what is stored."""
    names = ["lora", "lora_tokens", "lora_text", "controlnet_simple", "controlnet_effnet", "stage_c", "stage_b"]
    stored = [load_file(golden.FOLDER / f"updates_{name}.safetensors")["out.loss"] for name in names]
    repeated = []
    golden.write = lambda *arguments, **_: repeated.append(arguments[4]["out"]["loss"])
    torch.set_num_threads(1)
    with torch.backends.mkldnn.flags(enabled=False):
        for write in WRITERS:
            write()
    for name, before, after in zip(names, stored, repeated):
        moved = ((after - before) / before).abs()
        print(f"updates_{name}: rounding moves a loss by {moved[:UPDATES].max():.1e} of itself, {moved.max():.1e} later")


if __name__ == "__main__":
    for write in WRITERS:
        write()
    rounding()
