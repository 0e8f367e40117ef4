"""Writes reference_configs.json and reference_inference.json: the keys of the reference's configurations for training
and for inference, and their values.

    git clone https://github.com/Stability-AI/StableCascade CLONE
    python3 Tests/Goldens/write_reference_configs.py CLONE

Read with PyYAML 6 as the reference reads them. Values that name places (paths, shards) are null: every user has others.
"""

import json
import sys
from pathlib import Path

import yaml

PLACES = {"checkpoint_path", "output_path", "webdataset_path"}


def write(folder: Path, name: str) -> None:
    files = {}
    for path in sorted(folder.glob("*.yaml")):
        keys = yaml.safe_load(path.read_text())
        files[path.stem] = {key: None if key in PLACES else value for key, value in sorted(keys.items())}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(keys)}" for name, keys in files.items())
    Path(__file__).with_name(name).write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    configs = Path(sys.argv[1]) / "configs"
    write(configs / "training", "reference_configs.json")
    write(configs / "inference", "reference_inference.json")
