"""Utility profiles: coefficients of the data utility (Zhou 2025, eqs 11-12), and the cost of the training behind them.

A profile gives the value of samples for one data set, skew, metric and variant of federated training. It holds numbers
only, no data, in a JSON file with the fields below; the shipped ones are in `dtenv/profiles`.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dtenv.physics.utility import data_power, data_utility, utility_ceiling
from dtenv.validation import Range, at_least, number, numbers, ordered_pair, positive, positive_integer

SHIPPED = Path(__file__).parent / "profiles"

WORST_RMSE = 0.02
"""Largest root mean square error of a publishable fit, in accuracy."""

LARGEST_CEILING = 0.9999
"""v(φ) < 1 makes the utility concave in the data; the allocation divides by 1 - v."""

FURTHEST_EMD = 2.0
"""Largest L1 distance of two distributions."""

CURVE_POINTS = 33
"""Number of data sizes, and of earth mover's distances, at which a curve is checked."""


def coefficients(name: str, values: Any) -> tuple[float, ...]:
    """Return the six coefficients α1 … α6 of (Zhou 2025, eqs 11-12) as floats.

    Raises ValueError unless all are finite and all but α5 positive (the published α5 is not), with v(φ) < 1 on [0, 2].
    """
    alpha = numbers(name, values)
    if len(alpha) != 6:
        raise ValueError(f"{name} must be six numbers, got {values!r}")
    for k in (1, 2, 3, 4, 6):
        if alpha[k - 1] <= 0:
            raise ValueError(f"{name}[{k - 1}] (α{k}) must be positive, got {alpha[k - 1]!r}")
    peak = min(max(-alpha[4], 0.0), FURTHEST_EMD)
    if utility_ceiling(peak, *alpha[3:]) > LARGEST_CEILING:
        raise ValueError(
            f"{name}[3] (α4) must keep v(φ) at most {LARGEST_CEILING}, got {alpha[3]!r}: "
            f"v({peak:g}) = {utility_ceiling(peak, *alpha[3:]):g}"
        )
    return alpha


@dataclass(frozen=True, kw_only=True)
class UtilityProfile:
    """Data utility of one variant of federated training, and its traffic and computation; ValueError for bad fields."""

    name: str
    alpha: tuple[float, ...]
    """α1 … α6 of (Zhou 2025, eqs 11-12), with D in samples."""
    label: str
    """Origin of the coefficients: "calibrated", "published, not reproduced by us", …"""
    data: str
    """Data set of the training."""
    skew: str
    """Scheme that makes clients' labels differ; φ alone does not determine it."""
    metric: str
    """Definition of the accuracy ρ: of which network, and on which test set."""
    variant: str
    """Variant of federated training: "fedavg", "top-k 1 %", …"""
    samples: Range
    """Calibrated range of data sizes D, samples."""
    emd: Range
    """Calibrated range of earth mover's distances φ."""
    uplink_bytes: float | None
    """Bytes that a client sends per round; None if not stated."""
    downlink_bytes: float | None
    """Bytes that a client receives per round; None if not stated."""
    rounds: int | None
    """Aggregation rounds of one training, which takes place within one slot; None if not stated."""
    compute_factor: float = 1.0
    """CPU cycles per bit and epoch, relative to plain federated averaging."""
    epsilon: float | None = None
    """ε of differential privacy; None if none is claimed."""
    delta: float | None = None
    """δ of differential privacy, given with `epsilon`."""
    fit: dict[str, Any] | None = None
    """Quality of the fit: rmse, r2, held_out_rmse, standard_errors, flags, …; None if nothing was fitted."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Data needed to repeat the calibration: command, versions, digests of data, …"""

    def __post_init__(self) -> None:
        for text in ("name", "label", "data", "skew", "metric", "variant"):
            value = getattr(self, text)
            if not isinstance(value, str) or not value.strip():
                raise ValueError(f"{text} must be a non-empty string, got {value!r}")
        if self.name != Path(self.name).name or self.name.startswith("."):
            raise ValueError(f"name must be usable as a file name, got {self.name!r}")
        object.__setattr__(self, "alpha", coefficients("alpha", self.alpha))
        ordered_pair(self, 1.0, "samples")
        ordered_pair(self, 0.0, "emd")
        if self.emd[1] > FURTHEST_EMD:
            raise ValueError(f"emd must lie in [0, {FURTHEST_EMD:g}], got {self.emd!r}")
        for size in ("uplink_bytes", "downlink_bytes"):
            if getattr(self, size) is not None:
                at_least(self, 0.0, size)
                object.__setattr__(self, size, float(getattr(self, size)))
        if self.rounds is not None:
            positive_integer(self, "rounds")
        positive(self, "compute_factor")
        object.__setattr__(self, "compute_factor", float(self.compute_factor))
        if self.epsilon is not None:
            positive(self, "epsilon")
        if (self.epsilon is None) != (self.delta is None):
            raise ValueError(f"epsilon and delta must be given together, got {self.epsilon!r} and {self.delta!r}")
        if self.delta is not None and not 0.0 < number("delta", self.delta) < 1.0:
            raise ValueError(f"delta must lie between 0 and 1, got {self.delta!r}")
        if self.fit is not None:
            object.__setattr__(self, "fit", _plain("fit", self.fit))
        object.__setattr__(self, "provenance", _plain("provenance", self.provenance))

    def __hash__(self) -> int:
        return hash(self.digest)

    def utility(self, samples: Any, emd: Any) -> np.ndarray:
        """Predicted accuracy ρ of (Zhou 2025, eqs 11-12) for D samples and distances φ of any range, broadcast."""
        alpha1, alpha2, alpha3 = self.alpha[:3]
        sizes, distances = np.broadcast_arrays(np.asarray(samples, np.float64), np.asarray(emd, np.float64))
        accuracy = np.empty(sizes.shape)
        for place in np.ndindex(sizes.shape):
            ceiling = utility_ceiling(float(distances[place]), *self.alpha[3:])
            power = data_power(float(sizes[place]), ceiling, alpha3)
            accuracy[place] = data_utility(power, ceiling, alpha1, alpha2)
        return accuracy

    def model_bits(self, directions: str) -> float:
        """Bits of models that a server exchanges with the cloud in a slot, all rounds; directions "uplink" or "both".

        Raises ValueError that names a field that the profile does not state.
        """
        asked = ("rounds", "uplink_bytes", "downlink_bytes")[: 3 if directions == "both" else 2]
        for name in asked:
            if getattr(self, name) is None:
                raise ValueError(
                    f"{name} of utility {self.name!r} must be stated for model_transfer {directions!r}, got None"
                )
        return 8.0 * math.fsum(getattr(self, name) for name in asked[1:]) * float(self.rounds or 0)

    def as_dict(self) -> dict[str, Any]:
        """Fields by name, ready for JSON."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @property
    def digest(self) -> str:
        """First sixteen hexadecimal digits of the SHA-256 of all fields."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:16]


def available() -> list[str]:
    """Names of the shipped profiles."""
    return sorted(path.stem for path in SHIPPED.glob("*.json"))


def load(source: str | os.PathLike[str]) -> UtilityProfile:
    """Load a shipped profile by name, or a .json file; ValueError if it does not exist or is not a valid profile."""
    path = SHIPPED / f"{source}.json" if str(source) in available() else Path(source)
    if path.suffix != ".json" or not path.is_file():
        known = available()
        near = difflib.get_close_matches(str(source), known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(
            f"utility {str(source)!r} is neither a shipped profile{hint} nor a .json file; shipped: {', '.join(known)}"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"utility profile {path} is not JSON: {error}") from None
    try:
        return from_dict(values)
    except ValueError as error:
        raise ValueError(f"utility profile {path}: {error}") from None


def from_dict(values: Any) -> UtilityProfile:
    """Inverse of `UtilityProfile.as_dict`; ValueError if a field is unknown, missing or out of range."""
    if not isinstance(values, dict):
        raise ValueError(f"a profile must be an object of fields, got {values!r}")
    known = [f.name for f in dataclasses.fields(UtilityProfile)]
    for name in values:
        if name not in known:
            raise ValueError(f"unknown field {name!r}; known: {', '.join(known)}")
    for name in known:
        if name not in values:
            raise ValueError(f"lacks the field {name!r}")
    return UtilityProfile(**values)


def save(profile: UtilityProfile, path: str | os.PathLike[str], *, publishable: bool = True) -> None:
    """Write a profile to a .json file, atomically.

    Raises ValueError for another suffix, or with `publishable` if `check_publishable` does; nothing is written then.
    """
    path = Path(path)
    if path.suffix != ".json":
        raise ValueError(f"path must end in .json, got {str(path)!r}")
    if publishable:
        check_publishable(profile)
    part = path.with_suffix(f".json.{os.getpid()}")
    part.write_text(json.dumps(profile.as_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    part.replace(path)


def check_publishable(profile: UtilityProfile) -> None:
    """Raise ValueError unless a profile's fit is good and its accuracy increases with the data.

    fit["rmse"] must be at most WORST_RMSE, ρ must increase with D over the calibrated range, and fit["flags"] must not
    hold "falls-with-samples"; the calibration sets this flag, as (11) with positive coefficients always increases. For
    published profiles, whose `fit` is None, only the curve is checked.
    """
    if profile.fit is None:
        if profile.label == "calibrated":
            raise ValueError("fit must describe the fit of a calibrated profile, got None")
    else:
        if "rmse" not in profile.fit:
            raise ValueError(f"fit must hold 'rmse', got {sorted(profile.fit)}")
        rmse = number("fit.rmse", profile.fit["rmse"])
        if not 0.0 <= rmse <= WORST_RMSE:
            raise ValueError(f"fit.rmse must be at most {WORST_RMSE:g} for a profile to be published, got {rmse:g}")
        if "falls-with-samples" in (profile.fit.get("flags") or ()):
            raise ValueError("fit.flags must not hold 'falls-with-samples' for a profile to be published")
    sizes = np.geomspace(*profile.samples, CURVE_POINTS)
    for emd in np.linspace(*profile.emd, CURVE_POINTS):
        curve = profile.utility(sizes, emd)
        rises = curve[-1] > curve[0] or sizes[-1] == sizes[0]
        if not (np.isfinite(curve).all() and rises and (np.diff(curve) >= 0.0).all()):
            raise ValueError(
                f"alpha must let ρ rise with D over samples {profile.samples!r}, got {profile.alpha!r}, with which it "
                f"goes from {curve[0]:.4g} to {curve[-1]:.4g} at φ = {emd:.3g}"
            )


def _plain(name: str, values: Any) -> dict[str, Any]:
    """Copy an object by way of JSON."""
    if not isinstance(values, dict):
        raise ValueError(f"{name} must be an object of fields, got {values!r}")
    try:
        return json.loads(json.dumps(values, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name} must be JSON with finite numbers: {error}, got {values!r}") from None
