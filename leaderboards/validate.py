"""Validate submissions: report every problem of their files, then of the policy's first actions.

python -m leaderboards validate leaderboards/submissions/my-agent
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from leaderboards.policy_io import action_problem, graph_inputs
from leaderboards.submission import SUBMISSIONS, Submission, SubmissionError, read
from leaderboards.track_spec import spec_of
from leaderboards.untrusted_text import quoted


@dataclass
class Validate:
    """Settings of a validation."""

    folders: tyro.conf.Positional[list[Path]]
    """folders of the submissions"""
    others: Path = SUBMISSIONS
    """folder of the entries whose names and policies are taken"""


def dry_run(submission: Submission) -> list[str]:
    """Return the problems of a policy's first action in every scenario of its track, run in the sandbox.

    Its inputs are drawn uniformly from the observation range, not from an episode of any season.
    """
    from leaderboards.sandbox import PolicyFailed, PolicyProcess

    spec, rng = spec_of(submission.track, submission.overrides), np.random.default_rng(0)
    wrong = []
    try:
        with PolicyProcess(submission.model) as policy:
            for cell, layout, space in zip(spec.track.cells, spec.layouts, spec.actions, strict=True):
                shown = rng.uniform(layout.space.low, layout.space.high, (1, layout.size))
                if problem := action_problem(policy.act(graph_inputs(layout, submission.inputs, shown)), space):
                    wrong.append(f"policy.onnx: {problem}, in {cell.name!r}")
    except PolicyFailed as error:
        wrong.append(f"policy.onnx: {error.reason}: {error}")
    return wrong


def validate(folder: Path, others: Path | None = SUBMISSIONS) -> list[str]:
    """Return every problem of a submission; its policy runs only if its files are valid."""
    try:
        return dry_run(read(folder, others))
    except SubmissionError as error:
        return error.problems


def main(settings: Validate) -> None:
    """Print all problems file by file; exit with status 1 if there are any or no submission is given."""
    if not settings.folders:
        raise SystemExit("folders must name at least one submission, got none")
    valid = True
    for folder in settings.folders:
        problems = validate(folder, settings.others)
        print(quoted(str(folder), 300), "is not valid:" if problems else "is valid")
        valid &= not problems
        files: dict[str, list[str]] = {}
        for file, _, problem in (each.partition(": ") for each in problems):
            files.setdefault(file, []).append(problem)
        for file, found in files.items():
            print("\n".join([f"  {file}", *(f"    {problem}" for problem in found)]))
    if not valid:
        raise SystemExit(1)
