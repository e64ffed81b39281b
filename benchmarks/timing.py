"""Reduce samples to the few numbers that the table shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Latencies", "latencies_of", "median", "percentile"]


@dataclass(frozen=True, slots=True)
class Latencies:
    """What a load generator saw: calls that were answered in a time, and how long each took."""

    count: int
    elapsed_seconds: float
    median_seconds: float
    p99_seconds: float

    @property
    def per_second(self) -> float:
        """Answers a second, over all callers."""
        return self.count / self.elapsed_seconds


def percentile(samples: Sequence[float], share: float) -> float:
    """Returns the smallest sample that at least `share` of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(samples: Sequence[float]) -> float:
    """Returns the middle sample; of an even number, the lower of the two."""
    return percentile(samples, 0.5)


def latencies_of(seconds: Sequence[float], elapsed_seconds: float) -> Latencies:
    """Returns the reduction of one run's calls."""
    return Latencies(len(seconds), elapsed_seconds, median(seconds), percentile(seconds, 0.99))
