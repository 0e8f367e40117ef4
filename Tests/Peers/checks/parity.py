"""Holds `cascade-adapt forward` against the peers on random configurations, sizes and weights.

    python Tests/Peers/checks/parity.py --command .build/release/cascade-adapt [--module stage-c] [--cases 8] [--seed 0]

For each output it prints the largest difference and that difference over the peer's standard deviation; for each set
of gradients the worst relative error. Exits 1 where one is above its bar: 2e-4 of the deviation (1e-3 for effnet,
controlnet and sample), 1e-3 for gradients, and for diffuse 1e-5 of each value or of their root mean square.

With `--dtype bfloat16` the command's networks are in bfloat16 and the peers stay in float32: the root mean square of
the differences is held to 3e-2 of the deviation. Left out are modules without weights, gradients, and sampling, which
adds up what its steps round."""

import argparse
import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import lora
import sampling
import schedules
from case import Case
from draws import MODULES, Draw

GRADIENT_BAR = 1e-3
BFLOAT16_BAR = 3e-2


def ask(command: list[str], case: Case, folder: Path, machine: list[str]) -> dict[str, torch.Tensor]:
    """Writes the case's files, runs `forward` on them and reads its answer."""
    save_file({key: tensor.contiguous() for key, tensor in case.inputs.items()}, folder / "in.safetensors")
    # CLIP's arch is a config.json, the others' is YAML.
    arch = folder / ("config.json" if case.module.startswith("clip-") else "arch.yaml")
    arch.write_text(json.dumps(case.arch) if arch.suffix == ".json" else yaml.safe_dump(case.arch))
    arguments = ["forward", case.module, "--inputs", folder / "in.safetensors", "--arch", arch, *machine]
    if case.weights:
        save_file(case.weights, folder / "weights.safetensors")
        arguments += ["--weights", folder / "weights.safetensors"]
    if case.adapter:
        lora.save(folder / "adapter.safetensors", case.adapter, case.rank, case.alpha)
        arguments += ["--adapter", folder / "adapter.safetensors"]
    if case.gradients:
        arguments.append("--gradients")
    arguments += ["--outputs", folder / "out.safetensors"]
    subprocess.run(command + [str(argument) for argument in arguments], check=True)
    return load_file(folder / "out.safetensors")


def compare(case: Case, answer: dict[str, torch.Tensor], in_bfloat16: bool) -> bool:
    """Prints the differences; true where all are within their bars."""
    missing = sorted(case.outputs.keys() - answer.keys())
    surplus = sorted(key for key in answer.keys() - case.outputs.keys() if key.startswith(("grad.", "cnet.")))
    if missing or surplus:
        print(f"  WRONG KEYS: missing {missing[:5]}, surplus {surplus[:5]}")
        return False
    good = True
    for key, theirs in case.outputs.items():
        ours = answer[key].float()
        if ours.numel() != theirs.numel():
            print(f"  {key}: WRONG SHAPE {list(ours.shape)}, the peer has {list(theirs.shape)}")
            good = False
        elif not key.startswith("grad."):
            differences = (ours.reshape(theirs.shape) - theirs).abs()
            if case.is_relative:
                differences = differences / theirs.abs().clamp(min=max(theirs.square().mean().sqrt().item(), 1e-6))
            largest, typical = differences.max().item(), differences.square().mean().sqrt().item()
            measured, bar = (typical, BFLOAT16_BAR) if in_bfloat16 else (largest, case.bar)
            scale = theirs.std().item() if theirs.numel() > 1 else theirs.abs().item()
            relative = measured / scale if scale > 1e-6 and not case.is_relative else measured
            good &= relative <= bar  # false for NaN too
            of = "value" if case.is_relative else "deviation"
            print(f"  {key}: largest difference {largest:.2e}, {relative:.2e} of the {of} {over(relative, bar)}")
    return compare_gradients(case, answer) and good


def compare_gradients(case: Case, answer: dict[str, torch.Tensor]) -> bool:
    """The norm of each gradient's error over the norm of the gradient; prints the worst, and the worst element's.

    A gradient below a millionth of the largest is nothing but rounding and is measured against that millionth."""
    pairs = {
        key: (answer[key].float().reshape(theirs.shape), theirs)
        for key, theirs in case.outputs.items()
        if key.startswith("grad.") and answer[key].numel() == theirs.numel()
    }
    if not pairs:
        return True
    floor = 1e-6 * max(theirs.norm().item() for _, theirs in pairs.values())
    errors = {
        key: ((ours - theirs).norm() / theirs.norm().clamp(min=floor)).item() for key, (ours, theirs) in pairs.items()
    }
    worst = max(errors, key=lambda key: errors[key] if errors[key] == errors[key] else float("inf"))
    ours, theirs = pairs[worst]
    element = ((ours - theirs).abs().max() / theirs.abs().max().clamp(min=floor)).item()
    print(
        f"  {len(pairs)} gradients, worst {worst}: {errors[worst]:.2e} of its norm, "
        f"{element:.2e} of its largest element {over(errors[worst], GRADIENT_BAR)}"
    )
    return errors[worst] <= GRADIENT_BAR


def over(value: float, bar: float) -> str:
    return "" if value <= bar else f"ABOVE {bar:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", required=True, nargs="+", help="the cascade-adapt to ask")
    parser.add_argument("--module", choices=MODULES, action="append", help="only this one (repeatable)")
    parser.add_argument("--cases", type=int, default=8, help="cases of each module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="of the command's networks")
    options = parser.parse_args()

    print(f"schedules: the peer is within {schedules.check_against_diffusers():.1e} of diffusers'")
    print(f"sampling steps: the peer is within {sampling.check_against_diffusers():.1e} of diffusers'")
    in_bfloat16 = options.dtype == "bfloat16"
    machine = ["--device", options.device, "--dtype", options.dtype]
    failed = 0
    for module in options.module or MODULES:
        for number in range(options.cases):
            seed = zlib.crc32(f"{module} {options.seed} {number}".encode())
            case = MODULES[module](Draw(seed))
            if in_bfloat16 and (case.gradients or not case.weights or case.module == "sample"):
                continue
            print(f"{module} {number}: {json.dumps(case.arch)}\n  {case.sizes()}", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                try:
                    good = compare(case, ask(options.command, case, Path(folder), machine), in_bfloat16)
                except subprocess.CalledProcessError as error:
                    print(f"  FAILED: exit status {error.returncode}")
                    good = False
            failed += not good
    print(f"{failed} cases above their bar" if failed else "all within their bars")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
