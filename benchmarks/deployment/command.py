"""Table I of (Khan 2022) measured: edge, edge-cloud and cloud deployment of twins.

    python -m benchmarks deployment --out benchmarks/results/deployment

Every row of the table is a claim about an order. Where a scalar can honestly represent it, it is measured in the three
deployments on the same episodes, and paired differences confirm, contradict or leave open the order. The measurements
are repeated under variations of the scenario that might decide an order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.deployment.claims import CLAIMS, MODES, Measured
from benchmarks.deployment.episodes import play, scenario_of
from benchmarks.deployment.page import page
from benchmarks.deployment.plots import draw
from benchmarks.evaluate import EVALUATION_SEEDS, manifest, write_rows, write_study
from benchmarks.statistics import mean_interval

USERS = (20, 40, 60, 80, 100)
STILL, DRIVING = {"speed_mps": (0.0, 0.0)}, {"speed_mps": (15.0, 15.0)}

VARIATIONS: dict[str, dict[str, Any]] = {
    "as measured": {},
    "cloud at 5 ms, no metres": {"cloud_latency_s": 0.005, "cloud_distance_m": 0.0},
    "cloud 80 ms further": {"cloud_latency_s": 0.1},
    "cloud of 80 GHz": {"cloud_compute_hz": (80e9, 80e9)},
    "cloud of 1280 GHz": {"cloud_compute_hz": (1280e9, 1280e9)},
    "edge-cloud with seats for all": {"seats": {"edge-cloud": 1.0}},
    "edge-cloud with an edge's seats": {"seats": {"edge-cloud": 2.0}},
    "edge without spare seats": {"seats": {"edge": 1.0}},
    "moves for free": {"kappa": 0.0},
    "moves three times as dear": {"kappa": 4.5},
    "creation takes 20 s": {"creation_s": 20.0},
    "policy: best latency": {"background": "best-latency"},
    "policy: never move": {"background": "never"},
}
"""Variations that might decide an order: scenario fields, and `seats` of single modes."""

LATENCIES_S = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08)
COMPUTING_HZ = (40e9, 80e9, 160e9, 320e9, 640e9, 1280e9)
SEATS = (1.0, 1.1, 1.2, 1.5, 2.0, 3.0)


@dataclass
class DeploymentStudy:
    """Settings of the study."""

    seeds: int = 5
    """groups of episodes, numbered in rows.csv"""
    episodes: int = 10
    """episodes of a group; intervals are over all groups"""
    varied: int = 20
    """episodes under each variation"""
    slots: int = 200
    """slots of an episode"""
    out: Path = Path("runs/deployment")
    """folder to write to"""


def main(settings: DeploymentStudy) -> None:
    """Measure, compare and write rows, page, plot and manifest."""
    episodes = list(EVALUATION_SEEDS[: settings.seeds * settings.episodes])
    few = episodes[: settings.varied]
    sweeps = len(LATENCIES_S) + len(COMPUTING_HZ) + len(SEATS)
    with tqdm(total=len(VARIATIONS) + 1 + sweeps, unit="cell") as bar:
        rows: list[dict[str, Any]] = []
        found = measure(episodes, settings.slots, {}, rows, settings.episodes)
        bar.update()
        varied = {}
        for name, changes in VARIATIONS.items():
            varied[name] = measure(few, settings.slots, changes)
            bar.update()
        lines = sensitivity(few, settings.slots, bar)
    scenarios = [scenario_of(mode, 50, num_slots=settings.slots) for mode in MODES]
    record = manifest(*scenarios, seeds=settings.seeds, episodes=settings.episodes, varied=settings.varied)
    write_study(settings.out, rows, record, page(found, varied, lines, len(episodes), len(few)))
    write_rows(settings.out / "sensitivity.csv", lines)
    draw(settings.out / "deployment.png", rows, lines)


def measure(
    seeds: Sequence[int], slots: int, changes: dict[str, Any], rows: list[dict[str, Any]] | None = None, group: int = 1
) -> dict[str, Measured]:
    """Values (episodes,) of all scalars in all modes, under changes; append one row per episode played to `rows`."""
    changes, found = dict(changes), {claim.measure: {} for claim in CLAIMS if claim.measure}
    seats = changes.pop("seats", {})
    for mode in MODES:

        def of(mode: str = mode, **more: Any) -> dict[str, np.ndarray]:
            values = play(mode, seeds, seats=seats.get(mode), **(changes | {"num_slots": slots} | more))
            if rows is not None:
                about = {"users": more.get("users", 50), "outage": more.get("outage", "")}
                about["speed"] = more.get("speed_mps", ("", ""))[1]
                for b, seed in enumerate(seeds):
                    scalars = {name: float(value[b]) for name, value in values.items()}
                    rows.append({"mode": mode, "group": b // group, "seed": seed} | about | scalars)
            return values

        usual = of()
        by_users = np.array([of(users=users)["latency"] for users in USERS])
        still, driving = of(**STILL), of(**DRIVING)
        if mode == "edge-cloud" and rows is not None:
            of(outage="station")
            of(outage="cloud")
        found["slope"][mode] = 1e4 * np.polyfit(USERS, by_users, 1)[0]
        found["latency"][mode] = 1e3 * usual["latency"]
        found["hosts"][mode] = usual["hosts"]
        found["motion"][mode] = still["objective"] - driving["objective"]
        found["interrupted"][mode] = driving["interrupted_s_per_minute"]
        found["driving"][mode] = driving["objective"]
        found["kept"][mode] = of(outage="host")["service"] / of(outage="nothing")["service"]
    return found


def sensitivity(seeds: Sequence[int], slots: int, bar: Any) -> list[dict[str, Any]]:
    """Scalars over the parameters that decide their orders: one line per parameter, value and mode."""
    lines: list[dict[str, Any]] = []

    def add(parameter: str, value: float, mode: str, measure: str, values: np.ndarray) -> None:
        about = {"parameter": parameter, "value": value, "mode": mode, "measure": measure}
        lines.append(about | mean_interval(values)._asdict())

    def latency(mode: str, **more: Any) -> np.ndarray:
        return 1e3 * play(mode, seeds, num_slots=slots, **more)["latency"]

    def slope(mode: str, **more: Any) -> np.ndarray:
        return 10.0 * np.polyfit(USERS, [latency(mode, users=users, **more) for users in USERS], 1)[0]

    edge, edge_slope = latency("edge"), slope("edge")
    for seconds in LATENCIES_S:
        cloud = {"cloud_latency_s": seconds, "cloud_distance_m": 0.0}
        for mode in ("edge-cloud", "cloud"):
            add("cloud_latency_s", seconds, mode, "latency", latency(mode, **cloud))
        add("cloud_latency_s", seconds, "edge", "latency", edge)
        bar.update()
    for metres in (0.0, 1500.0):  # the order flips where the cloud's latency, a summand, equals the lead at 0
        lead = edge - latency("cloud", cloud_latency_s=0.0, cloud_distance_m=metres)
        add("flip of latency", metres, "cloud", "milliseconds", lead)
    for hertz in COMPUTING_HZ:
        for mode in ("edge-cloud", "cloud"):
            add("cloud_compute_hz", hertz, mode, "slope", slope(mode, cloud_compute_hz=(hertz, hertz)))
        add("cloud_compute_hz", hertz, "edge", "slope", edge_slope)
        bar.update()
    for seats in SEATS:
        settings = {"seats": seats, "num_slots": slots}
        down, whole = (play("edge", seeds, outage=outage, **settings)["service"] for outage in ("host", "nothing"))
        add("seats", seats, "edge", "kept", down / whole)
        bar.update()
    return lines
