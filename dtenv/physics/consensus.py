"""What a consensus among n miners costs each block: messages, seconds, joules.

(Khan 2022, Section II-C) names Byzantine fault tolerance for low latency and delegated proof of stake for low energy,
and has no formula. The message counts are the protocols' own, of their normal case: PBFT's three phases (Castro and
Liskov 1999, Section 4.2), and delegated proof of stake's one scheduled producer (Larimer 2014). The times and energies
that we count for them are our choice: a miner sends one message after another, all miners at once, and verifies what it
gets one after another.
"""

from __future__ import annotations

from dtenv.compiled import compiled


@compiled
def pbft_messages(miners: int) -> int:
    """Pre-prepare n - 1, prepare (n - 1)², commit n (n - 1): 2 n (n - 1) in all (Castro and Liskov 1999)."""
    return (miners - 1) + (miners - 1) ** 2 + miners * (miners - 1)


@compiled
def dpos_messages(miners: int) -> int:
    """The producer whose turn it is sends its block to the n - 1 others (Larimer 2014)."""
    return miners - 1


@compiled
def phase_latency(miners: int, bits: float, rate_bps: float, hop_s: float, verified: int, verify_s: float) -> float:
    """Seconds until a message has gone from a miner to all others, and each has verified what it got in the phase."""
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
    """Seconds until the producer's block is with all; that later producers build on it is not waited for."""
    return phase_latency(miners, block_bits, rate_bps, hop_s, 1, verify_s)


@compiled
def pbft_energy(miners: int, block_bits: float, vote_bits: float, j_per_bit: float, verify_j: float) -> float:
    """Joules of all of PBFT's messages, sent and verified."""
    blocks = miners - 1
    votes = pbft_messages(miners) - blocks
    return (blocks * block_bits + votes * vote_bits) * j_per_bit + (blocks + votes) * verify_j


@compiled
def dpos_energy(miners: int, block_bits: float, j_per_bit: float, verify_j: float) -> float:
    """Joules of the producer's messages, sent and verified."""
    return dpos_messages(miners) * (block_bits * j_per_bit + verify_j)
