"""The wireless uplink."""

import math

from dtenv.compiled import compiled


@compiled
def dbm_to_watt(dbm: float) -> float:
    """Power in watt of a level in dBm."""
    return 10.0 ** (dbm / 10.0) * 1e-3


@compiled
def uplink_rate(bandwidth_hz: float, power_w: float, gain: float, noise_w: float) -> float:
    """Shannon rate W log2(1 + P ξ / N0), bit/s; the denominator of (Zhou 2025, eq. 14)."""
    return bandwidth_hz * math.log2(1.0 + power_w * gain / noise_w)
