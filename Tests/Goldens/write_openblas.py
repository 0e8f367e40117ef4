"""Writes openblas.json: a product and a singular value decomposition in double precision by numpy 2.

    python3 Tests/Goldens/write_openblas.py
"""

import json
import pathlib

import numpy

rng = numpy.random.default_rng(321)
cases = []
for m, k, n in [(1, 1, 1), (3, 5, 2), (7, 4, 9), (16, 33, 8)]:
    a, b = (rng.integers(-8, 9, shape) / 4 for shape in [(m, k), (k, n)])
    case = {"m": m, "k": k, "n": n, "a": a, "b": b, "product": a @ b}
    case["singular"] = numpy.linalg.svd(a, compute_uv=False).round(6)
    cases.append({key: value if isinstance(value, int) else value.ravel().tolist() for key, value in case.items()})
pathlib.Path(__file__).with_name("openblas.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
