"""Scenarios from recorded sites and walks: choose a window, keep its sites, and cut the walks into episodes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtenv.presets import resolve
from dtenv.scenario import Scenario
from dtenv.scenario.recording import Recording
from dtenv.traces.files import Columns, FilePath, Sites, Walks, read_sites, read_trace
from dtenv.traces.geometry import POLAR_DEG, earth_centred, wrapped
from dtenv.validation import positive_number

SITE_DISTANCE_M = 500.0
"""Distance between sites of an urban macro network (3GPP TR 38.901, Table 7.2-1)."""
NARROW_M = 500.0
"""Side of a window below which a radio network has hardly a choice of stations."""
GAP = 5.0  # a walk breaks at a gap of more than so many slots and median intervals


def scenario_from_options(
    scenario: str | Scenario | None,
    sites: FilePath | None,
    trace: FilePath | None,
    env_id: str = "DTAssociation-v0",
    columns: Sequence[str] = (),
    **overrides: Any,
) -> Any:
    """Make the scenario of the options --scenario, --sites, --trace and --columns.

    Raises:
        ValueError: one of --sites and --trace without the other, or columns that are not of the form role=name.
    """
    if bool(sites) != bool(trace):
        raise ValueError("--sites and --trace go together: give both or neither")
    if sites and trace:
        return scenario_from_traces(
            sites, trace, scenario=scenario, env_id=env_id, columns=columns_of(columns), **overrides
        )
    return resolve(scenario, env_id, **overrides)


def columns_of(options: Sequence[str]) -> dict[str, str | None]:
    """Columns by role from options such as user=taxi and time=t; "user=" says that there is none.

    Raises:
        ValueError: an option without "=".
    """
    for option in options:
        if "=" not in option:
            raise ValueError(f"--columns must be role=name, such as user=taxi time=t, got {option!r}")
    return {role: name or None for role, _, name in (option.partition("=") for option in options)}


def scenario_from_traces(
    sites: FilePath | Sites,
    trace: FilePath | Walks,
    *,
    scenario: str | Scenario | None = None,
    env_id: str = "DTAssociation-v0",
    window_m: float | None = None,
    slot_seconds: float | None = None,
    keep_tradeoff: bool = True,
    centre: tuple[float, float] | None = None,
    columns: Columns | None = None,
    site_columns: Columns | None = None,
    **overrides: Any,
) -> Any:
    """Make a scenario with servers on real sites and users on recorded walks.

    All sites in a square window are kept; an episode draws num_servers (or num_stations) of them. If sites and walks
    are both geographic or both in local metres, and a walk enters the window, the walks in this window are used.
    Otherwise the walks' own fullest window of this size is laid over it, and the recording's provenance says so. Walks
    are resampled every slot, broken at gaps of more than five slots and five median intervals, and cut into overlapping
    segments of num_slots + 2 points that stay inside the window.

    Args:
        sites: file for `read_sites`, or its result.
        trace: file or folder for `read_trace`, or its result.
        scenario: preset's name or scenario to start from; by default the first preset of `env_id`.
        env_id: environment of the preset.
        window_m: side of the window, metres; by default what a network of so many stations covers at 500 m between
            sites, or more: enough for as many sites, and for where half of the walkers get in an episode.
        slot_seconds: by default the trace's median interval, or the scenario's if all users stand still.
        keep_tradeoff: divide costs per metre (n_mig and n_syn, or wired_s_per_bit_m) by window_m / (the scenario's
            area_m), so that crossing the square costs the same and moving and staying keep their balance. Costs in
            `overrides` are kept in any case.
        centre: middle of the window, (latitude, longitude) or (x_m, y_m) like the sites; by default the site around
            which the smallest square holds enough sites.
        columns: names of the trace's columns by role ("user", "time", "lat" and "lon", or "x" and "y" in metres); by
            default they are recognised by name.
        site_columns: likewise, of the file of sites.
        **overrides: single fields of the scenario by name: num_users, num_servers, num_slots, …

    Warns:
        UserWarning: a window below 500 m, or rows that repeat, jump or never move.

    Raises:
        FileNotFoundError, ImportError: see `read_sites` and `read_trace`.
        TypeError: unknown field, or one that the files determine (area_m, recording).
        ValueError: malformed file or value, too few sites in the window, or no walk long enough in it.
    """
    if overrides.keys() & {"area_m", "recording"}:
        raise TypeError("area_m and recording come from the files here; window_m sets the side of the square")
    # Without the scenario's own recording, which is replaced and might not fit the overrides.
    base = resolve(scenario, env_id, recording=None, **overrides)
    sites = sites if isinstance(sites, Sites) else read_sites(sites, site_columns)
    walks = trace if isinstance(trace, Walks) else read_trace(trace, columns)
    if slot_seconds is None:
        slot_seconds = base.mobility.slot_seconds if math.isnan(walks.interval_s) else walks.interval_s
    base = base.override(slot_seconds=slot_seconds)  # ValueError unless positive
    reach = reach_m(walks, base.episode.num_slots * slot_seconds) if window_m is None else 0.0
    place, side = _window(sites, base.SITES, base.num_sites, centre, window_m, reach)
    site_xy = sites.metres(place)
    site_xy = site_xy[_inside(site_xy, side)]
    overlaid = sites.geographic != walks.geographic or not _inside(walks.metres(place), side).any()
    walks_place = fullest(walks, side) if overlaid else place
    walk_xy, segment_start, count = _segments(walks, walks_place, side, base)
    odd = {name: n for name, n in walks.remarks.items() if isinstance(n, int) and n}
    note = (
        f"sites and walkers come from different places: walks from {walks.source} are laid over the window of "
        f"{sites.source}"
        if overlaid
        else "sites and walks share one window"
    )
    note += f" of {side:,.0f} m x {side:,.0f} m with {len(site_xy)} sites, {count} walks"
    if odd:
        told = ", ".join(f"{n:,} {name}" for name, n in odd.items())
        note += f"; in the trace: {told}"
        warnings.warn(f"{walks.source}: {told} (teleports: faster than 150 m/s)", stacklevel=2)
    if side < NARROW_M:
        text = f"the window of {side:g} m x {side:g} m is small for a radio network"
        warnings.warn(f"{text}: give window_m of {NARROW_M:g} or more", stacklevel=2)
    provenance = {
        "sites_file": sites.source,
        "sites_sha256": sites.sha256,
        "trace_file": walks.source,
        "trace_sha256": walks.sha256,
        "trace_remarks": walks.remarks,
        "window_m": side,
        "centre": _on_map(place, sites.geographic),
        "walks_centre": _on_map(walks_place, walks.geographic),
        "sites": len(site_xy),
        "walks": count,
        "segments": len(segment_start),
        "overlaid": bool(overlaid),
        "keep_tradeoff": keep_tradeoff,
        "note": note,
    }
    recording = Recording(
        site_xy=site_xy + side / 2,
        walk_xy=walk_xy + side / 2,
        segment_start=segment_start,
        segment_slots=base.episode.num_slots + 2,
        area_m=side,
        slot_seconds=float(slot_seconds),
        provenance=provenance,
    )
    wider = side / base.network.area_m if keep_tradeoff else 1.0
    changes = {name: base.value(name) / wider for name in base.COSTS_A_METRE if name not in overrides}
    if "separation_m" in base.fields():  # applies to random stations only
        changes["separation_m"] = 0.0
    return base.override(recording=recording, area_m=side, **changes)


def _inside(xy: np.ndarray, side: float) -> np.ndarray:
    return np.abs(xy).max(axis=1) <= side / 2


def _on_map(place: np.ndarray, geographic: bool) -> list[float]:
    """A place as it is given in files; longitudes in [-180, 180)."""
    return [float(place[0]), float(wrapped(place[1]) if geographic else place[1])]


def reach_m(walks: Walks, seconds: float) -> float:
    """Side of the square in which half of the walkers stay who start in its middle, for some seconds; 0 if unknown."""
    if walks.stepwise or not np.isfinite(walks.until_s).all() or len(walks.walk) < 2:
        return 0.0
    longest = np.ptp(walks.time_s) + seconds + 1.0
    clock = walks.time_s - walks.time_s.min() + walks.walk * (2.0 * longest)  # walks one after another
    later = np.searchsorted(clock, clock + seconds)
    later = np.minimum(later, len(clock) - 1)
    full = walks.walk[later] == walks.walk
    if not full.any():
        return 0.0
    xy = walks.metres(walks.coordinates[len(walks.coordinates) // 2])
    away = np.abs(xy[later[full]] - xy[full]).max(axis=1)
    return float(2.0 * np.median(away))


def _window(
    sites: Sites, field: str, count: int, centre: Any, window_m: float | None, reach: float
) -> tuple[np.ndarray, float]:
    """Centre, in the sites' coordinates, and side in metres of a square with at least `count` sites."""
    wanted = max(count, 2)  # the smallest square with one site is a point
    place = np.array(_densest_site(sites, wanted) if centre is None else centre, dtype=np.float64)
    if place.shape != (2,) or not np.isfinite(place).all():
        raise ValueError(f"centre must be two finite numbers, got {centre!r}")
    away = np.abs(sites.metres(place)).max(axis=1)
    least = max(2.0 * np.sort(away)[:wanted][-1], SITE_DISTANCE_M * math.sqrt(count), reach)
    side = math.ceil(least) if window_m is None else window_m
    positive_number("window_m", side)
    held = np.count_nonzero(away <= side / 2)
    if held < count:
        raise ValueError(
            f"the window of {side:g} m around ({place[0]:.6g}, {place[1]:.6g}) in {sites.source} holds {held} sites, "
            f"{field} needs {count}: choose a larger window_m, another centre or a smaller {field}"
        )
    return place, float(side)


def _densest_site(sites: Sites, wanted: int) -> np.ndarray:
    """Find the site around which the smallest square holds `wanted` sites."""
    x, y = sites.coordinates.T
    metre = np.ones(len(x))
    if sites.geographic and np.abs(x).max() > POLAR_DEG:  # so is the stereographic projection, around a pole
        pole = math.copysign(1.0, x[np.abs(x).argmax()])
        axes = earth_centred(pole * x, y)
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)
        x, y, metre = axes[:, 0] / (1.0 + axes[:, 2]), axes[:, 1] / (1.0 + axes[:, 2]), 1.0 + axes[:, 2]
    elif sites.geographic:  # Mercator is conformal, so a whole country can be searched at once
        phi = np.radians(np.clip(x, -89.0, 89.0))
        x, y, metre = np.radians(y), np.arcsinh(np.tan(phi)), np.cos(phi)
    order = np.argsort(x, kind="stable")
    x, y, metre = x[order], y[order], metre[order]
    best, least = 0, math.inf
    for i in range(len(x)):
        reach = least / metre[i]
        near = slice(*np.searchsorted(x, (x[i] - reach, x[i] + reach)))  # farther sites need a larger square
        away = np.maximum(np.abs(x[near] - x[i]), np.abs(y[near] - y[i]))
        if np.count_nonzero(away < reach) >= wanted:
            best, least = i, np.partition(away, wanted - 1)[wanted - 1] * metre[i]
    return sites.coordinates[order[best]]


def fullest(walks: Walks, side: float) -> np.ndarray:
    """Median place of the walks in the window around the fullest cell of a grid of windows."""
    cell = np.floor(walks.metres(np.median(walks.coordinates, axis=0)) / side).astype(np.int64)
    _, cell, places = np.unique(cell[:, 0] * 2**32 + cell[:, 1], return_inverse=True, return_counts=True)
    crowd = walks.coordinates[cell == places.argmax()]
    middle = crowd[np.abs(crowd - np.median(crowd, axis=0)).sum(axis=1).argmin()]
    if walks.geographic and abs(middle[0]) > POLAR_DEG:
        return middle  # around a pole longitudes have no median
    return np.median(walks.coordinates[_inside(walks.metres(middle), side)], axis=0)  # crowds straddle cells


def _segments(walks: Walks, centre: np.ndarray, side: float, base: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Return places (points, 2) per slot, metres from the centre, starts of segments, and number of walks with one."""
    num_slots, slot_seconds = base.episode.num_slots, base.mobility.slot_seconds
    points, stride = num_slots + 2, max(1, num_slots // 4)  # overlapping segments: diversity from few walks
    if np.isinf(walks.until_s).all():
        xy = walks.metres(centre)
        xy = xy[_inside(xy, side)]
        if len(xy):
            return np.repeat(xy, points, axis=0), np.arange(len(xy)) * points, len(xy)
    xy, walk, stretch, _ = resample(walks, walks.metres(centre), slot_seconds, points)
    run = np.where(_inside(xy, side), stretch, -1)
    first = np.flatnonzero(np.append(True, np.diff(run) != 0))
    first, end = first[run[first] >= 0], np.append(first[1:], len(run))[run[first] >= 0]
    longest = (end - first).max(initial=0)
    if longest < points:
        raise ValueError(
            f"{walks.source}: no walk stays in its window of {side:g} m for the {points} slots of {slot_seconds:g} s "
            f"that num_slots={num_slots} needs, the longest stretch found has {longest}: choose a larger window_m"
            + (f" or num_slots of at most {longest - 2}" if longest > 2 else "")
        )
    runs = [(a, b) for a, b in zip(first, end, strict=True) if b - a >= points]
    kept = np.concatenate([np.arange(a, b) for a, b in runs])
    start = np.concatenate([np.arange(a, b - points + 1, stride) for a, b in runs])
    return xy[kept], np.searchsorted(kept, start), len(np.unique(walk[kept]))


def resample(walks: Walks, xy: np.ndarray, slot_seconds: float, points: int) -> tuple[np.ndarray, ...]:
    """Places (ticks, 2) a slot apart, and the walk, unbroken stretch and second (ticks,) of each.

    Users who stand still are present for `points` slots.
    """
    gap = GAP * np.fmax(slot_seconds, walks.interval_s)
    time, until = walks.time_s, walks.until_s
    breaks = np.append(True, (np.diff(walks.walk) != 0) | (time[1:] - until[:-1] > gap))
    first, owner = np.flatnonzero(breaks), np.cumsum(breaks) - 1
    span = until[np.append(first[1:], len(time)) - 1] - time[first]
    span[np.isinf(span)] = (points - 1) * slot_seconds  # one segment for users who stand still
    origin = np.cumsum(span + slot_seconds) - span  # all stretches one after another on one clock, for a single search
    clock = time - time[first][owner] + origin[owner]
    ticks = (span / slot_seconds + 1e-6).astype(np.int64) + 1
    stretch = np.repeat(np.arange(len(first)), ticks)
    tick = np.arange(len(stretch)) - (np.cumsum(ticks) - ticks)[stretch]
    now = origin[stretch] + np.minimum(tick * slot_seconds, span[stretch])
    if walks.stepwise:
        places = xy[np.searchsorted(clock, now, side="right") - 1]
    else:
        places = np.column_stack([np.interp(now, clock, xy[:, axis]) for axis in (0, 1)])
    return places, walks.walk[first][stretch], stretch, now - origin[stretch] + time[first][stretch]
