"""Energy of migrating, synchronising and training twins (Zhou 2025, eqs 13-15, 22; Lu 2021, eq. 19); data in bits."""

import math

from dtenv.compiled import compiled


@compiled
def migration_energy(n_mig: float, distance_m: float, bits: float) -> float:
    """Energy of migrating one twin of `bits` between servers `distance_m` apart (Zhou 2025, eq. 13)."""
    return n_mig * distance_m * bits


@compiled
def metre_energy(n_syn: float, bits: float, rate_bps: float) -> float:
    """Energy per metre of uploading one user's new data (Zhou 2025, eq. 14)."""
    return n_syn * bits / rate_bps


@compiled
def synchronisation_energy(n_syn: float, bits: float, rate_bps: float, distance_m: float) -> float:
    """Energy of uploading one user's new data (Zhou 2025, eq. 14)."""
    return metre_energy(n_syn, bits, rate_bps) * distance_m


@compiled
def computation_energy(n_cmp: float, cycles_per_bit: float, bits: float, epochs: float) -> float:
    """Energy of local training and fine-tuning on one user's data (Zhou 2025, eq. 15)."""
    return n_cmp * cycles_per_bit * bits * epochs


@compiled
def model_transfer_energy(n_agg: float, bits: float) -> float:
    """Energy of the `bits` of models that a server with twins exchanges with the cloud in one slot.

    The paper neglects this cost of the aggregation (Zhou 2025, eq. 4); (21) has no such term.
    """
    return n_agg * bits


@compiled
def normalised_energy(energy: float, f0: float) -> float:
    """Norm(C, f0) = 2 / (1 + exp(-C / 2 f0)) - 1 of (Zhou 2025, eq. 22), which is tanh(C / 4 f0)."""
    return math.tanh(energy / (4.0 * f0))


@compiled
def normalised_energy_slope(energy: float, f0: float) -> float:
    """Derivative d Norm / d C; it falls with C, so Norm is concave (Theorem 2 needs it convex)."""
    u = math.exp(-energy / (2.0 * f0))
    return u / (f0 * (1.0 + u) ** 2)


@compiled
def transmission_energy(power_w: float, seconds: float) -> float:
    """Joules of a user's transmission (Lu 2021, eq. 19)."""
    return power_w * seconds
