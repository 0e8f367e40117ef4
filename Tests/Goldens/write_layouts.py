"""Writes layouts/: small files of weights in every layout, and expected.safetensors with what each must come to in
official names, under NAME/KEY.

The stages' official names are those from which diffusers' own converter makes the diffusers layout; each pair is
checked here by running it. ComfyUI's names follow its `supported_models.Stable_Cascade_C`, `utils` and `sd`.

Peers: diffusers 0.42.1, transformers 5, torch 2.15.0, safetensors 0.8.0.

    python3 Tests/Goldens/write_layouts.py
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from diffusers import StableCascadeUNet
from diffusers.loaders.single_file_utils import convert_stable_cascade_unet_single_file_to_diffusers as to_diffusers
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModelWithProjection
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

FOLDER = Path(__file__).parent / "layouts"
shutil.rmtree(FOLDER, ignore_errors=True)
FOLDER.mkdir()
generator = torch.Generator().manual_seed(3)
expected: dict[str, torch.Tensor] = {}


def expect(name: str, tensors: dict[str, torch.Tensor]) -> None:
    expected.update({f"{name}/{key}": value.clone().contiguous() for key, value in tensors.items()})


def redrawn(module: torch.nn.Module) -> torch.nn.Module:
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return module


def official(tensors: dict[str, torch.Tensor], stage: str) -> dict[str, torch.Tensor]:
    """The names before diffusers' converter."""
    result = {}
    for key, value in tensors.items():
        if ".attention.to_q." in key:
            parts = [tensors[key.replace("to_q", name)] for name in ("to_q", "to_k", "to_v")]
            result[key.replace("to_q.", "attn.in_proj_")] = torch.cat(parts)
        elif ".attention.to_out.0." in key:
            result[key.replace("to_out.0", "attn.out_proj")] = value
        elif stage == "b" and key.startswith("clip_txt_pooled_mapper."):
            result[key.replace("clip_txt_pooled_mapper", "clip_mapper")] = value
        elif not any(f".attention.to_{part}." in key for part in "kv"):
            result[key] = value
    again = to_diffusers(result)
    assert again.keys() == tensors.keys() and all(torch.equal(again[key], tensors[key]) for key in again)
    return result


def comfyui(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """What ComfyUI's networks save: q, k and v apart, the rest as it was."""
    result = {}
    for key, value in tensors.items():
        if ".attn.in_proj_" in key:
            for name, part in zip(("to_q.", "to_k.", "to_v."), value.chunk(3)):
                result[prefix + key.replace("in_proj_", name)] = part.clone()
        else:
            result[prefix + key] = value.clone()
    return result


SMALL = dict(
    timestep_ratio_embedding_dim=4, conditioning_dim=4, block_out_channels=(4, 4), num_attention_heads=(2, 2),
    down_num_layers_per_block=(1, 1), up_num_layers_per_block=(1, 1), down_blocks_repeat_mappers=(1, 1),
    up_blocks_repeat_mappers=(1, 2), kernel_size=3, dropout=(0, 0), self_attn=True, switch_level=(False,),
    clip_text_pooled_in_channels=4,
)  # fmt: skip
BLOCKS = ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock")
stage_c = redrawn(
    StableCascadeUNet(
        in_channels=4, out_channels=4, patch_size=1, block_types_per_layer=(BLOCKS, BLOCKS), clip_text_in_channels=4,
        clip_image_in_channels=4, clip_seq=2, timestep_conditioning_type=("sca", "crp"), **SMALL,
    )  # fmt: skip
)
stage_b = redrawn(
    StableCascadeUNet(
        in_channels=4, out_channels=4, patch_size=2, block_types_per_layer=(BLOCKS[:2], BLOCKS), clip_seq=2,
        effnet_in_channels=4, pixel_mapper_in_channels=3, timestep_conditioning_type=("sca",),
        **{**SMALL, "switch_level": None},
    )  # fmt: skip
)
for name, module, stage in (("stage_c_diffusers", stage_c, "c"), ("stage_b_diffusers", stage_b, "b")):
    sharding = {"max_shard_size": "4KB"} if stage == "b" else {}
    module.save_pretrained(FOLDER / name, **sharding)
    expect(name, official(module.state_dict(), stage))
assert (FOLDER / "stage_b_diffusers/diffusion_pytorch_model.safetensors.index.json").exists()

stage_a = redrawn(
    PaellaVQModel(levels=2, bottleneck_blocks=1, embed_dim=4, latent_channels=2, num_vq_embeddings=3, scale_factor=0.4)
)
stage_a.save_pretrained(FOLDER / "vqgan_diffusers", variant="bf16")
expect(
    "vqgan_diffusers",
    {key.replace("vquantizer.embedding", "vquantizer.codebook"): t for key, t in stage_a.state_dict().items()},
)

TOWER = {"hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "projection_dim": 3}
TEXT = {**TOWER, "vocab_size": 6, "max_position_embeddings": 5, "eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0}
IMAGE = {**TOWER, "image_size": 4, "patch_size": 2}
text = redrawn(CLIPTextModelWithProjection(CLIPTextConfig(**TEXT)))
image = redrawn(CLIPVisionModelWithProjection(CLIPVisionConfig(**IMAGE)))
text.save_pretrained(FOLDER / "text_transformers", max_shard_size=400)
expect("text_transformers", {k: t for k, t in text.state_dict().items() if "position_ids" not in k})
whole = redrawn(CLIPModel(CLIPConfig(text_config=TEXT, vision_config=IMAGE, projection_dim=3)))
torch.save({**whole.state_dict(), "text_model.embeddings.position_ids": torch.arange(5)}, FOLDER / "clip.bin")
for part, tower in (("text", text), ("picture", image)):
    expect(f"clip.bin/{part}", {key: whole.state_dict()[key] for key in tower.state_dict()})

# ComfyUI's single file of Stage C: the network, the text encoder, the autoencoder of its latents, the image encoder.
backbone = {"backbone.0.0.weight": torch.randn(4, 3, 3, 3, generator=generator)}
effnet = backbone | {
    "backbone.0.1.num_batches_tracked": torch.tensor(7), "mapper.0.weight": torch.randn(2, 4, 1, 1, generator=generator)
}  # fmt: skip
previewer = {f"blocks.{i}.weight": torch.randn(3, 3, 1, 1, generator=generator) for i in (0, 24)}
tensors = comfyui(official(stage_c.state_dict(), "c"), "model.diffusion_model.")
tensors |= {f"text_encoder.clip_g.transformer.{key}": t for key, t in text.state_dict().items()}
tensors["text_encoder.clip_g.text_projection"] = tensors.pop(
    "text_encoder.clip_g.transformer.text_projection.weight"
).t()
tensors["text_encoder.clip_g.logit_scale"] = torch.tensor(4.6)
tensors |= {f"vae.encoder.{key}": t for key, t in effnet.items()}
tensors |= {f"vae.previewer.{key}": t for key, t in previewer.items()}
tensors |= {f"clip_l_vision.{key}": t for key, t in image.state_dict().items()}
save_file({key: t.clone().contiguous() for key, t in tensors.items()}, FOLDER / "comfyui_c.safetensors")
for part, content in (
    ("stage-c", official(stage_c.state_dict(), "c")), ("clip-text", text.state_dict()), ("effnet", effnet),
    ("previewer", previewer), ("clip-vision", image.state_dict()),
):  # fmt: skip
    expect(f"comfyui_c.safetensors/{part}", content)

# Stage B as ComfyUI stores it scaled in float8: a marker, and a factor beside each matrix.
tensors = {"model.diffusion_model.scaled_fp8": torch.zeros(0, dtype=torch.float8_e4m3fn)}
values = {}
for key, value in comfyui(official(stage_b.state_dict(), "b"), "").items():
    if value.dim() == 2 and key.endswith(".weight"):
        scale = value.abs().max() / 448
        value = (value / scale).to(torch.float8_e4m3fn)
        tensors[f"model.diffusion_model.{key.removesuffix('weight')}scale_weight"] = scale
        values[key] = value.float() * scale
    else:
        values[key] = value
    tensors["model.diffusion_model." + key] = value
for key in [key for key in values if ".attn.to_q." in key]:
    parts = [values.pop(key.replace("to_q", name)) for name in ("to_q", "to_k", "to_v")]
    values[key.replace("to_q.", "in_proj_")] = torch.cat(parts)
expect("comfyui_b.safetensors", values)
save_file(tensors, FOLDER / "comfyui_b.safetensors")

# torch.save, zip and legacy, in every protocol: wrappers, shared and cut storages, all dtypes, values beside.
storage = torch.arange(12, dtype=torch.float32)
linear = redrawn(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)))
state = linear.state_dict()
state |= {
    "transposed": torch.randn(3, 4, generator=generator).t(), "third": storage[::3], "middle": storage[4:8],
    "repeated": torch.tensor([[1.5], [2.5]]).expand(2, 3), "parameter": torch.nn.Parameter(torch.tensor([1.0, -1.0])),
    "f64": torch.tensor([0.1], dtype=torch.float64), "f16": torch.tensor([0.5, 2.0]).half(),
    "bf16": torch.tensor([1e20, -3.0]).bfloat16(), "f8": torch.tensor([0.5, -448.0]).to(torch.float8_e4m3fn),
    "f8_5": torch.tensor([0.25, 57344.0]).to(torch.float8_e5m2), "u8": torch.tensor([0, 255], dtype=torch.uint8),
    "i16": torch.tensor([-3], dtype=torch.int16), "bool": torch.tensor([True, False]), "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 3),
}  # fmt: skip
wrapped = {
    "state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 3, "rate": 1e-4, "name": "x" * 300,
    "huge": 1 << 90, "nothing": None, "flags": {True}, "size": torch.Size([1, 2]), "device": torch.device("cpu"),
    "dtype": torch.float32, "raw": b"\0\1", "losses": [torch.tensor([1.0]), 2], "hyper": {"lr": (0.1, 0.2)},
}  # fmt: skip
for protocol in (2, 3, 4, 5):
    for kind in ("zip", "legacy"):
        torch.save(
            wrapped, FOLDER / f"{kind}_{protocol}.pt", pickle_protocol=protocol,
            _use_new_zipfile_serialization=kind == "zip",
        )  # fmt: skip
torch_expected = {f"state_dict.module.{key}": value for key, value in state.items()}
expect("torch", {**torch_expected, "losses.0": torch.tensor([1.0])})

save_file(
    {key: t.detach().contiguous() for key, t in expected.items()}, FOLDER / "expected.safetensors",
    {"peers": f"torch {torch.__version__}"},
)  # fmt: skip
for path in FOLDER.rglob("*"):
    path.chmod(0o755 if path.is_dir() else 0o644)
sys.stdout.write(json.dumps(sorted(str(p.relative_to(FOLDER)) for p in FOLDER.rglob("*") if p.is_file()), indent=1) + "\n")
