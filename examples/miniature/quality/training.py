"""Trains an adapter with `cascade-adapt` and one of the demo's configurations."""

import json
import pathlib

from program import Program

CONFIGURATIONS = pathlib.Path(__file__).parents[1]


def train(
    program: Program, command: str, configuration: str, tars: list[str], folder: pathlib.Path, name: str, seed: int,
    **settings: object,
) -> pathlib.Path:  # fmt: skip
    """The adapter's file in the folder; a run that was interrupted goes on, one that is done is left alone.

    `settings` take the place of what the configuration says."""
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
        # Nothing is looked at on the way.
        "preview_steps": 0,
        "validation_path": None,
        **settings,
    }
    sets = [word for key, value in words.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    program(command, CONFIGURATIONS / configuration, *sets, "--threads", program.threads, "--quiet")
    program("export", folder / "runs" / name, "-o", output)
    return output
