"""The CLIP text encoder: transformers' CLIPTextModelWithProjection, with learned tokens as deltas on embedding rows."""

import torch
from torch.func import functional_call
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

TOKEN_TABLE = "text_model.embeddings.token_embedding.weight"


def make(arch: dict) -> CLIPTextModelWithProjection:
    """The tower in eval mode from the values of a transformers config.json."""
    return CLIPTextModelWithProjection(CLIPTextConfig(**arch)).eval()


def forward(
    tower: CLIPTextModelWithProjection,
    tokens: torch.Tensor,
    attention_mask: torch.Tensor,
    indices: torch.Tensor | None = None,
    deltas: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """`hidden` [B, T, C], the last layer's output before the final norm, and `pooled` [B, P], projected.

    `deltas` [k, C] are added to the embedding rows `indices` [k]; gradients flow to the deltas alone where the tower
    is frozen."""
    table = tower.get_parameter(TOKEN_TABLE)
    replaced = {} if deltas is None else {TOKEN_TABLE: table.index_add(0, indices, deltas)}
    output = functional_call(
        tower, replaced, args=(tokens,), kwargs={"attention_mask": attention_mask, "output_hidden_states": True}
    )
    return {"hidden": output.hidden_states[-1], "pooled": output.text_embeds}
