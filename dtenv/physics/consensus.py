"""Messages, seconds and joules per block of a consensus among n miners.

(Khan 2022, Section II-C) names Byzantine fault tolerance for low latency and delegated proof of stake for low energy,
without formulas. Message counts are those of the protocols' normal case: PBFT's three phases (Castro and Liskov 1999,
Section 4.2), and delegated proof of stake's one scheduled producer (Larimer 2014). Times and energies are our choice:
all miners send in parallel, and each sends its messages, and verifies those received, one after another.
"""

from __future__ import annotations

from dtenv.compiled import compiled


@compiled
def pbft_messages(miners: int) -> int:
    """Messages of PBFT: pre-prepare n - 1, prepare (n - 1)², commit n (n - 1) (Castro and Liskov 1999)."""
    return (miners - 1) + (miners - 1) ** 2 + miners * (miners - 1)


@compiled
def dpos_messages(miners: int) -> int:
    """Messages of delegated proof of stake: the producer sends its block to n - 1 others (Larimer 2014)."""
    return miners - 1


@compiled
def phase_latency(miners: int, bits: float, rate_bps: float, hop_s: float, verified: int, verify_s: float) -> float:
    """Seconds for a miner to send a message to all others, and for each to verify `verified` received messages."""
    return hop_s + (miners - 1) * bits / rate_bps + verified * verify_s if miners > 1 else 0.0


@compiled
def pbft_latency(
    miners: int, block_bits: float, vote_bits: float, rate_bps: float, hop_s: float, verify_s: float
) -> float:
    """Seconds of PBFT's three phases: the block to all, then twice a vote from (nearly) each to all."""
    block = phase_latency(miners, block_bits, rate_bps, hop_s, 1, verify_s)
    return block + 2.0 * phase_latency(miners, vote_bits, rate_bps, hop_s, miners - 1, verify_s)


@compiled
def dpos_latency(miners: int, block_bits: float, rate_bps: float, hop_s: float, verify_s: float) -> float:
    """Seconds until all miners have verified the producer's block; later blocks on top of it are not awaited."""
    return phase_latency(miners, block_bits, rate_bps, hop_s, 1, verify_s)


@compiled
def pbft_energy(miners: int, block_bits: float, vote_bits: float, j_per_bit: float, verify_j: float) -> float:
    """Joules to send and verify all of PBFT's messages."""
    blocks = miners - 1
    votes = pbft_messages(miners) - blocks
    return (blocks * block_bits + votes * vote_bits) * j_per_bit + (blocks + votes) * verify_j


@compiled
def dpos_energy(miners: int, block_bits: float, j_per_bit: float, verify_j: float) -> float:
    """Joules to send and verify the producer's messages."""
    return dpos_messages(miners) * (block_bits * j_per_bit + verify_j)
