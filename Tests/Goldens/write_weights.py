"""Writes weights.safetensors by the safetensors package, weights_unaligned.safetensors by hand with an unpadded header
as its versions before 0.3 wrote them, and weights.json with every value as a double.

Peers: safetensors 0.8.0, torch 2.15.0.

    python3 Tests/Goldens/write_weights.py
"""

import json
from pathlib import Path

import torch
from safetensors import __version__, safe_open
from safetensors.torch import save_file

FOLDER = Path(__file__).parent
generator = torch.Generator().manual_seed(55)
numbers = torch.randn(2, 3, 4, generator=generator)
tensors = {
    "f32": numbers,
    "f64": numbers[0].double() / 3,
    "f16": (numbers * 100).half(),
    "bf16": (numbers * 1e20).bfloat16(),
    "f8_e4m3": numbers[1].to(torch.float8_e4m3fn),
    "f8_e5m2": numbers[1].to(torch.float8_e5m2),
    "i64": torch.tensor([-(2**53), 0, 2**53]),
    "i32": torch.tensor([[-(2**31)], [2**31 - 1]], dtype=torch.int32),
    "i16": torch.tensor([-32768, 32767], dtype=torch.int16),
    "i8": torch.tensor([-128, 127], dtype=torch.int8),
    "u8": torch.arange(7, dtype=torch.uint8) * 40,
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "ключ.\"quoted\" \\ \n": torch.tensor([1.0, 2.0]),
}
path = FOLDER / "weights.safetensors"
save_file(tensors, path, {"format": "pt", "note": "a\nb \"c\" é \U0001f600"})
path.chmod(0o644)
values = {key: {"shape": list(t.shape), "values": t.double().ravel().tolist()} for key, t in tensors.items()}
(FOLDER / "weights.json").write_text(json.dumps(values) + "\n")

# Three float32 and two float64 behind a header of odd length, a byte apart from any multiple of four.
data = torch.tensor([1.5, -2.5, 3.5]).numpy().tobytes() + torch.tensor([0.1, -0.2]).double().numpy().tobytes()
header = {
    "a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
    "b": {"dtype": "F64", "shape": [2], "data_offsets": [12, 28]},
}
text = json.dumps(header).encode()
text += b" " * ((3 - len(text)) % 8)
unaligned = FOLDER / "weights_unaligned.safetensors"
unaligned.write_bytes(len(text).to_bytes(8, "little") + text + data)
with safe_open(unaligned, "pt") as file:  # the peer takes it too
    assert file.get_tensor("a").tolist() == [1.5, -2.5, 3.5]
print(f"safetensors {__version__}, torch {torch.__version__}")
