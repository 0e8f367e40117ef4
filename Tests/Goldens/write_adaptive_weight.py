"""Writes adaptive_weight.safetensors: running losses by log SNR over three batches, and the weights after each.

The formula in float64, rounded at the end, with numpy 2: 299 edges from -10 to 10 make 300 buckets; the losses of a
batch that fall in one bucket count by their mean; a bucket's running loss moves a hundredth of the way to it and starts
at 1; a weight is the running loss's inverse, held within 1e-7 and 1e7.

    python3 Tests/Goldens/write_adaptive_weight.py
"""

from pathlib import Path

import numpy
from safetensors.numpy import save_file

rng = numpy.random.default_rng(99)
edges = numpy.linspace(-10, 10, 299)
running = numpy.ones(300)
tensors = {}
for batch in range(3):
    log_snr = rng.uniform(-12, 12, 12).astype(numpy.float32)
    log_snr[4:7] = log_snr[3]  # four losses in one bucket
    log_snr[7] = -50  # the first and the last bucket
    log_snr[8] = 50
    losses = (rng.uniform(0, 2, 12) * (1e12 if batch == 2 else 1)).astype(numpy.float32)
    tensors[f"in.{batch}.logSNR"], tensors[f"in.{batch}.losses"] = log_snr, losses
    buckets = numpy.searchsorted(edges, log_snr.astype(numpy.float64))
    for bucket in numpy.unique(buckets):
        running[bucket] = 0.99 * running[bucket] + 0.01 * losses[buckets == bucket].astype(numpy.float64).mean()
    tensors[f"out.{batch}.losses"] = running.astype(numpy.float32)
    tensors[f"out.{batch}.weights"] = (1 / running[buckets]).clip(1e-7, 1e7).astype(numpy.float32)
path = Path(__file__).with_name("adaptive_weight.safetensors")
save_file(tensors, path, {"peer": f"numpy {numpy.__version__}"})
path.chmod(0o644)
