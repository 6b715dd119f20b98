"""Latency of building and updating a twin (Lu 2021, eqs 4-12); data in bits."""

import math

from dtenv.compiled import compiled


@compiled
def wireless_latency(bits: float, rate_bps: float) -> float:
    """Seconds to transmit to the access station (Lu 2021, eq. 4); 0 for no data."""
    return bits / rate_bps if bits > 0.0 else 0.0


@compiled
def wired_latency(seconds_per_bit_metre: float, bits: float, distance_m: float) -> float:
    """Seconds to transmit between stations `distance_m` apart (Lu 2021, eqs 5, 7)."""
    return seconds_per_bit_metre * bits * distance_m


@compiled
def compute_latency(cycles_per_bit: float, bits: float, share_hz: float) -> float:
    """Seconds to compute at `share_hz` of a station's cycles (Lu 2021, eqs 6, 9); 0 for no data."""
    cycles = cycles_per_bit * bits
    return cycles / share_hz if cycles > 0.0 else 0.0


@compiled
def total_latency(initial_s: float, update_s: float, eta_s: float, interval_s: float) -> float:
    """T_ini + η T_syn with T_syn = T_upd / Δt, the summand of (Lu 2021, eq. 13)."""
    return initial_s + (eta_s * update_s / interval_s if eta_s > 0.0 else 0.0)


@compiled
def square_root_weight(cycles_per_bit: float, bits: float) -> float:
    """s_i = √(C D'): computing shares proportional to it minimise the sum of latencies (Cauchy-Schwarz)."""
    return math.sqrt(cycles_per_bit * bits)


@compiled
def compute_share(capacity_hz: float, weight: float, total_weight: float) -> float:
    """f_ik, a station's cycles shared in proportion to weights; meets (Lu 2021, eq. 18c) with equality."""
    return capacity_hz * weight / total_weight if weight > 0.0 else 0.0
