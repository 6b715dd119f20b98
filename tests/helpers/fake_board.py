"""A made-up board: three tracks, one of each environment, with ties, failures, infeasible entries and a hostile one."""

import math

import numpy as np

from benchmarks.statistics import Interval
from leaderboards.board import Board, Instance, Standing, TrackBoard
from leaderboards.recorded_episode import DIGITS
from leaderboards.tracks import TRACKS

HOSTILE = "<script>window.hacked=1</script>"

MANIFEST = {
    "name": HOSTILE,
    "authors": [
        "<img src=x onerror='window.hacked=1'>",
        "\u202eEve",
        "Z\u0310\u0311\u0312\u0313\u0314\u0315\u0316algo",
    ],
    "code": "javascript:window.hacked=1",
    "licence": "</script><script>window.hacked=1</script><!--",
    "note": "W" * 3000,
    "more": {"deep": [{"er": "&lt;b&gt;"}], "url": "https://example.org/a?b=1&c=<x>"},
    "link": "https://example.org/code",
}

NAMED = {
    "heuristic": ("random", "never", "nearest", "stay", "hysteresis", "local-search"),
    "learner": ("ppo", "hindsight"),
}
SLOTS = {"DTAssociation-v0": 60, "DTPlacementMA-v0": 5, "DTMigration-v0": 200}


def made(names=("association-balanced", "placement-paper-100x10", "migration-balanced"), seed=0):
    """The board: of each track ~9 entries, the submission's every text hostile."""
    rng = np.random.default_rng(seed)
    return Board(
        season="2026-1",
        revealed=False,
        commitment="5f" * 32,
        dtenv="0.9.0",
        commit="46ffc36a1b2c3d4e",
        tracks=[made_track(TRACKS[name], rng) for name in names],
    )


def made_track(track, rng):
    count = track.episodes
    bound = rng.uniform(0.4, 0.6, count)
    reference = bound - rng.uniform(0.05, 0.2, count)
    levels = {"random": -1.4, "nearest": 0.0, "stay": 0.32, "hysteresis": 0.71, "local-search": 0.715, "ppo": 0.93}
    levels |= {"never": 0.0 if track.reference == "never" else -0.2, "hindsight": 0.925, HOSTILE: 0.5, "eager": 0.8}
    made = [
        made_standing(track, "bound", "bound", np.ones(count), bound, reference),
        *(
            made_standing(track, name, kind, spread(rng, track, name, level, count), bound, reference)
            for name, level in sorted(levels.items(), key=lambda item: -item[1])
            for kind in [next((kind for kind, names in NAMED.items() if name in names), "submission")]
        ),
    ]
    ranked = [s for s in made if s.feasible and s.kind != "bound"]
    tied = {"ppo": 1, "hindsight": 1, "local-search": 2, "hysteresis": 2}
    places = {s.entry: tied.get(s.entry, i) for i, s in enumerate(ranked, -1 if len(ranked) > 1 else 1)}
    standings = [replaced(s, places.get(s.entry)) for s in made]
    standings.sort(key=lambda s: not s.feasible)
    film = made_film(track, [s.entry for s in standings if s.kind != "bound"], rng)
    return TrackBoard(track=track, standings=standings, instances=count, without_headroom=1, film=film)


def spread(rng, track, name, level, count):
    exact = name == track.reference
    return np.full(count, level) if exact else np.minimum(level + rng.normal(0, 0.08, count), 1.0)


def replaced(standing, place):
    return Standing(**{**standing.__dict__, "place": place})


def made_standing(track, name, kind, normalised, bound, reference):
    score = reference + normalised * (bound - reference)
    broken = 0.2 if name == "eager" else 0.0
    failed = {"late": 2, "crashed": 0, "invalid": 1} if name == HOSTILE else {}
    hostile = name == HOSTILE
    learnt = kind in ("learner", "submission")
    return Standing(
        entry=name,
        kind=kind,
        place=None,
        feasible=name != "eager",
        iqm=interval(normalised),
        score=interval(score),
        gap=float((bound - score).mean()),
        violation_rate=broken,
        failed=failed,
        decisions_per_second=None if kind == "bound" else 12345.6 / (1 + len(name)),
        parameters=100 * len(name) ** 3 if learnt else None,
        authors=MANIFEST["authors"] if hostile else ["The dtenv authors"],
        about="</dialog><b>about</b>" if hostile else f"The agent called {name}.",
        manifest=MANIFEST if hostile else {"name": name, "seeds": [1, 2, 3]} if kind == "submission" else None,
        instances=[
            Instance(
                cell=track.cells[0].name,
                index=i,
                score=float(score[i]),
                normalised=None if i == 3 else float(normalised[i]),
                violation_rate=broken,
                status="late" if hostile and i < 2 else "invalid" if hostile and i == 2 else "played",
                bound=float(bound[i]),
            )
            for i in range(len(score))
        ],
    )


def interval(values):
    mean, half = float(np.mean(values)), 1.96 * float(np.std(values)) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def made_film(track, entries, rng):
    scenario = track.cells[0].resolve()
    slots, sites, area = SLOTS[track.env_id], scenario.num_sites, float(scenario.network.area_m)
    focal = track.env_id == "DTMigration-v0"
    users = 1 if focal else scenario.value("num_users")
    site = rng.uniform(0, area, (sites, 2))
    walk = np.clip(
        np.cumsum(rng.normal(0, area / 60, (slots, users, 2)), 0) + rng.uniform(0, area, (users, 2)), 0, area
    )
    near = np.linalg.norm(walk[:, :, None] - site, axis=-1).argmin(-1)

    def text(hosts):
        return "".join(DIGITS[k] for k in hosts)

    def film(entry):
        hosts = near.copy()
        for t in range(1, slots):
            keep = rng.random(users) > 0.15
            hosts[t, keep] = hosts[t - 1, keep]
        moved = (hosts != np.vstack([near[:1], hosts[:-1]])).sum(1)
        score = 0.1 + 0.02 * rng.normal(size=slots).cumsum() / math.sqrt(slots)
        return {
            "hosts": [text(row) for row in hosts],
            "score": [round(float(v), 5) for v in score],
            "violated": [int(entry == "eager" and t % 5 == 0) for t in range(slots)],
            "migrations": moved.tolist(),
        }

    world = {"area_m": area, "sites": site.round(1).tolist(), "users": walk.round(1).tolist(), "first": text(near[0])}
    if focal:
        world["access"] = text(near[:, 0])
    return {"world": world, "entries": {entry: film(entry) for entry in entries}}
