"""Path loss and rate of the wireless uplink."""

import math

from dtenv.compiled import compiled

LN_2 = math.log(2.0)
LN_10 = math.log(10.0)  # exp and log cost less than powers of ten and log10


@compiled
def db_to_ratio(db: float) -> float:
    """Power ratio of a level difference in dB."""
    return math.exp(0.1 * LN_10 * db)


@compiled
def dbm_to_watt(dbm: float) -> float:
    """Power in watts of a level in dBm."""
    return 10.0 ** (dbm / 10.0) * 1e-3


@compiled
def path_loss_db(distance_m: float, min_distance_m: float, at_km_db: float, decade_db: float) -> float:
    """Distance-dependent path loss in dB, such as 3GPP's urban macro 128.1 + 37.6 log10(d / km)."""
    return at_km_db + decade_db / LN_10 * math.log(max(distance_m, min_distance_m) / 1000.0)


@compiled
def uplink_rate(bandwidth_hz: float, power_w: float, gain: float, noise_w: float) -> float:
    """Shannon rate W log2(1 + P h / noise), bit/s: the denominator of (Zhou 2025, eq. 14); (Lu 2021, eq. 3).

    Far below the noise log1p keeps the digits that rounding 1 + P h / noise would lose.
    """
    ratio = power_w * gain / noise_w
    if ratio < 1e-3:
        return bandwidth_hz * math.log1p(ratio) / LN_2
    return bandwidth_hz * math.log2(1.0 + ratio)
