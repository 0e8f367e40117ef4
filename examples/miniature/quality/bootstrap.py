"""Means over subjects, and how sure one may be of them."""

from collections.abc import Callable

import numpy as np

DRAWS = 2000


def by_subject(subjects: list[str], values: list[float]) -> np.ndarray:
    """The mean of each subject's values, subjects in the order of their names."""
    groups: dict[str, list[float]] = {}
    for subject, value in zip(subjects, values, strict=True):
        groups.setdefault(subject, []).append(value)
    return np.array([np.mean(groups[subject]) for subject in sorted(groups)])


def estimate(
    *columns: np.ndarray, of: Callable[..., float] = lambda mean: mean, seed: int = 1
) -> dict[str, float]:
    """A function of the columns' means over subjects with its 95 % interval: subjects are drawn with replacement,
    the same ones in all columns, each of which has one value for each subject."""
    draws = np.random.default_rng(seed)
    chosen = draws.integers(0, len(columns[0]), (DRAWS, len(columns[0])))
    again = [of(*(column[places].mean() for column in columns)) for places in chosen]
    low, high = np.percentile(again, [2.5, 97.5])
    return {
        "value": float(of(*(column.mean() for column in columns))), "low": float(low), "high": float(high)
    }  # fmt: skip
