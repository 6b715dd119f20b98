"""The page that sets measurements beside Table I of (Khan 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.deployment.claims import (
    AGREES,
    CLAIMS,
    CONTRADICTS,
    MODES,
    OPEN,
    Claim,
    Measured,
    verdict,
    verdicts,
)
from benchmarks.statistics import mean_interval
from dtenv.reporting.markdown import markdown_table

SIGNS = {AGREES: "✓", CONTRADICTS: "✗", OPEN: "?"}


def page(
    found: Mapping[str, Measured],
    varied: Mapping[str, Mapping[str, Measured]],
    lines: Sequence[Mapping[str, Any]],
    episodes: int,
    few: int,
) -> str:
    """Markdown: the table, pair by pair; the same verdicts under variations; where orders flip."""
    return "\n".join(
        [
            f"Means over {episodes} episodes with 95 % bootstrap intervals. In brackets what the paper says.",
            "",
            *_table(found),
            "",
            *(f"- {claim.row}, `{claim.measure}`: {claim.about}." for claim in CLAIMS if claim.measure),
            *(f"- {claim.row}: {claim.about}." for claim in CLAIMS if not claim.measure),
            "",
            f"Pairs under variations ({few} episodes each): edge before edge-cloud, edge before cloud, edge-cloud "
            f"before cloud; {SIGNS[AGREES]} agrees, {SIGNS[CONTRADICTS]} contradicts, {SIGNS[OPEN]} cannot tell.",
            "",
            *_variations(varied),
            "",
            *_flips(lines),
            "",
        ]
    )


def _table(found: Mapping[str, Measured]) -> list[str]:
    rows = []
    for claim in CLAIMS:
        values = found.get(claim.measure)
        cells = [
            f"{mean_interval(values[mode]):.{claim.digits}f} ({told})" if values is not None else f"({told})"
            for mode, told in zip(MODES, claim.paper, strict=True)
        ]
        name = f"`{claim.measure}`" if claim.measure else "none"
        rows.append([claim.row, name, *cells, _told(claim, values)])
    return markdown_table(["Table I", "scalar", *MODES, "order"], rows)


def _told(claim: Claim, values: Measured | None) -> str:
    if values is None:
        return OPEN
    pairs = verdicts(claim, values)
    wrong = [f"{a} / {b}" for (a, b), told in pairs.items() if told == CONTRADICTS]
    open_ = [f"{a} / {b}" for (a, b), told in pairs.items() if told == OPEN]
    text = f"**{verdict(claim, values)}**"
    if wrong:
        text += f" ({', '.join(wrong)})"
    return text + (f"; open: {', '.join(open_)}" if open_ else "")


def _variations(varied: Mapping[str, Mapping[str, Measured]]) -> list[str]:
    asked = [claim for claim in CLAIMS if claim.measure]
    rows = [
        [name, *("".join(map(SIGNS.get, verdicts(claim, found[claim.measure]).values())) for claim in asked)]
        for name, found in varied.items()
    ]
    return markdown_table(["", *(f"`{claim.measure}`" for claim in asked)], rows)


def _flips(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    told = []
    for line in lines:
        if line["parameter"] != "flip of latency":
            continue
        ends = [line[end] for end in ("mean", "low", "high")]
        slower = ends[0] <= 0.0
        mean, low, high = (-ends[0], -ends[2], -ends[1]) if slower else ends
        numbers = f"{mean:.1f} ms [{low:.1f}, {high:.1f}]"
        wire = f"with {line['value']:g} m of wire to the cloud"
        if not slower:
            told.append(f"- Latency, {wire}: the cloud is as fast as the edge at `cloud_latency_s` = {numbers}.")
        else:
            told.append(f"- Latency, {wire}: the cloud is slower at any `cloud_latency_s`, by {numbers} at 0.")
    flip = crossing(lines, "cloud_compute_hz", "slope")
    if flip is None:
        told.append("- Scalability: edge and cloud keep their order over the whole range of `cloud_compute_hz`.")
    else:
        told.append(
            f"- Scalability: the cloud's latency grows as fast with users as the edge's at `cloud_compute_hz` = "
            f"{flip / 1e9:.0f} GHz, by interpolation; with less it grows faster. Stations have 160 GHz together."
        )
    return told


def crossing(lines: Sequence[Mapping[str, Any]], parameter: str, measure: str) -> float | None:
    """Where cloud's mean of a measure comes to edge's, interpolated on the parameter's logarithm; None if nowhere."""
    curves = {
        mode: {
            line["value"]: line["mean"]
            for line in lines
            if (line["parameter"], line["measure"], line["mode"]) == (parameter, measure, mode)
        }
        for mode in ("edge", "cloud")
    }
    x = np.array(sorted(curves["cloud"]))
    lead = np.array([curves["cloud"][value] - curves["edge"][value] for value in x])
    for i in range(len(x) - 1):
        if lead[i] * lead[i + 1] < 0.0:
            part = lead[i] / (lead[i] - lead[i + 1])
            return float(np.exp(np.log(x[i]) + part * np.log(x[i + 1] / x[i])))
    return None
