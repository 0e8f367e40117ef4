"""Trains an adapter with `cascade-adapt` and one of the configurations beside this file."""

import json
import pathlib

from program import Program

HERE = pathlib.Path(__file__).parent


def train(
    program: Program, command: str, data: pathlib.Path, tars: list[str], folder: pathlib.Path, name: str, seed: int,
    **settings: object,
) -> pathlib.Path:  # fmt: skip
    """The adapter's file, below FOLDER/runs; a run that was interrupted goes on, one that is done is left alone."""
    output = folder / f"{name}.safetensors"
    if output.exists():
        return output
    models = program.models
    words = {
        "model_version": str(models / "stage_c.yaml"),
        "experiment_id": name,
        "checkpoint_path": str(folder / "runs"),
        "output_path": str(folder / "output"),
        "webdataset_path": tars,
        "effnet_checkpoint_path": str(models / "effnet.safetensors"),
        "previewer_checkpoint_path": str(models / "previewer.safetensors"),
        "clip_text_model_name": str(models / "clip-text"),
        "generator_checkpoint_path": str(models / "stage_c.safetensors"),
        "seed": seed,
        **settings,
    }
    sets = [word for key, value in words.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    program(command, HERE / f"{command}.yaml", *sets, "--threads", program.threads, "--quiet")
    program("export", folder / "runs" / name, "-o", output)
    return output
