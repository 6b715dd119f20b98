"""Label skew of clients' data: samples of each label per client, at an exact earth mover's distance.

The distance φ is that of (Zhou 2025, eq. 10) to the balanced distribution over the labels. The *construction*
determines which labels are missing, and whether clients lack the same ones; training depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtenv.fl.data.images import Images
from dtenv.physics.utility import earth_movers_distance

SKEWS = {
    "missing": "labels are missing, different ones at every client",
    "missing-same": "labels are missing, the same at every client",
    "major": "one label has more samples than the others, a different one at every client",
    "major-same": "one label has more samples than the others, the same at every client",
}
"""Constructions by name. Client u of "missing" lacks labels u, u + 1, …; of "major", it has more of label u."""


def label_counts(skew: str, emd: float, samples: int, classes: int, client: int) -> np.ndarray:
    """Return a client's samples of each label (classes,) at exactly the distance φ = Σ_y |P_u(y) - 1 / classes|.

    `samples` is D, and the number of the client determines its labels if clients differ. Raises ValueError if no
    assignment of whole samples reaches `emd`; the message names the nearest one.
    """
    if skew not in SKEWS:
        raise ValueError(f"skew must be one of {', '.join(SKEWS)}, got {skew!r}")
    if samples != int(samples) or samples < 1:
        raise ValueError(f"samples of client {client} must be a positive integer, got {samples!r}")
    most = 2.0 * (classes - 1) / classes
    if not 0.0 <= emd <= most + 1e-12:
        raise ValueError(f"emd must lie in [0, {most:.4g}] for {classes} labels, got {emd!r}")
    first = 0 if skew.endswith("-same") else client % classes
    order = (first + np.arange(classes)) % classes
    moved = emd * samples / 2.0  # samples moved from labels below their even share to labels above it
    counts = np.full(classes, samples / classes)
    if skew.startswith("missing"):
        for label in order:
            taken = min(float(counts[label]), moved)
            counts[label] -= taken
            moved -= taken
        below = counts < samples / classes - 1e-9
        counts[~below] += emd * samples / 2.0 / max(1, int(np.count_nonzero(~below)))
    else:
        counts[order[0]] += moved
        counts[order[1:]] -= moved / (classes - 1)
    whole = _whole(counts, order)
    measured = float(earth_movers_distance(whole, np.ones(classes)))
    if abs(measured - emd) > 1e-9:
        raise ValueError(
            f"emd {emd!r} is not reached by {samples} whole samples over {classes} labels as {skew!r}; "
            f"the nearest such assignment has {measured:.6g}"
        )
    return whole


def _whole(counts: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Round counts with their sum kept: the largest remainders are rounded up, equal ones in this order."""
    down = np.floor(counts + 1e-9).astype(np.int64)
    left = round(counts.sum()) - int(down.sum())
    by_remainder = sorted(order.tolist(), key=lambda label: -round(float(counts[label] - down[label]), 9))
    down[by_remainder[:left]] += 1
    return down


def deal(images: Images, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw disjoint images for clients with `counts` (clients, classes) of each label.

    Return indices (clients, most samples) into the training images, padded with -1. Raises ValueError if a label has
    too few images, or a client has none.
    """
    counts = np.asarray(counts)
    sizes = counts.sum(axis=1)
    if (sizes == 0).any():
        raise ValueError(f"client {int(np.flatnonzero(sizes == 0)[0])} has no data: each client needs a sample")
    check_supply(images, counts, "clients")
    index = np.full((len(counts), sizes.max()), -1, dtype=np.int64)
    filled = np.zeros(len(counts), dtype=np.int64)
    for label in range(images.classes):
        wanted = counts[:, label]
        drawn = rng.permutation(np.flatnonzero(images.y.numpy() == label))[: wanted.sum()]
        for client, part in enumerate(np.split(drawn, np.cumsum(wanted)[:-1])):
            index[client, filled[client] : filled[client] + len(part)] = part
            filled[client] += len(part)
    return index


def check_supply(images: Images, counts: np.ndarray, who: str) -> None:
    """Raise ValueError if counts (clients, classes) need more images of a label than there are."""
    wanted, held = counts.sum(axis=0), np.bincount(images.y.numpy(), minlength=images.classes)
    if (wanted > held).any():
        label = int(np.argmax(wanted - held))
        raise ValueError(f"{images.name} has {held[label]} images of label {label}, {who} need {wanted[label]}")


def client_counts(skew: str, emd: float, samples: int | Sequence[int], classes: int, clients: int) -> np.ndarray:
    """Return `label_counts` of several clients (clients, classes); `samples` is one number, or one per client."""
    sizes = [samples] * clients if isinstance(samples, int | np.integer) else list(samples)
    if len(sizes) != clients:
        raise ValueError(f"samples must be one number, or one per client, got {len(sizes)} for {clients} clients")
    return np.stack([label_counts(skew, emd, size, classes, u) for u, size in enumerate(sizes)])
