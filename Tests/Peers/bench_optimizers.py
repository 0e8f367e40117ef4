"""Steps of the peers' optimizers over 50 million parameters, each after clip_grad_norm_; prints one JSON line.

    python Tests/Peers/bench_optimizers.py adamw|adamw_foreach|adamw_fused|adamw_8bit|adafactor|prodigy [--threads 2]

Against `cascade-bench optimizer NAME`: the same shapes, parameters and gradients in float32."""

import argparse
import json
import statistics
import time

import torch

SHAPES = [(2048, 2048), (2048,), (2048,)] * 12


def make(name: str, parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    groups = [
        {"params": [tensor for tensor in parameters if tensor.ndim > 1], "weight_decay": 0.01},
        {"params": [tensor for tensor in parameters if tensor.ndim <= 1], "weight_decay": 0.0},
    ]
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=1e-4)
    if name in ("adamw_foreach", "adamw_fused"):
        return torch.optim.AdamW(groups, lr=1e-4, **{name.removeprefix("adamw_"): True})
    if name == "adamw_8bit":
        import bitsandbytes

        return bitsandbytes.optim.AdamW8bit(groups, lr=1e-4)
    if name == "adafactor":
        import transformers

        return transformers.Adafactor(groups, lr=1e-4, relative_step=False, scale_parameter=False)
    import prodigyopt

    return prodigyopt.Prodigy(groups, lr=1e-4)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("optimizer")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--steps", type=int, default=9)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(1)
    parameters = [torch.randn(shape, generator=generator).requires_grad_() for shape in SHAPES]
    gradients = [torch.randn(shape, generator=generator) * 0.01 for shape in SHAPES]
    optimizer = make(options.optimizer, parameters)
    seconds = []
    for index in range(options.steps + 2):
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient.clone()
        began = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if index >= 2:
            seconds.append(time.perf_counter() - began)
    figures = {"what": "optimizer step, peer", "optimizer": options.optimizer, "threads": torch.get_num_threads()}
    print(json.dumps(figures | {"seconds": statistics.median(seconds)}))


if __name__ == "__main__":
    main()
