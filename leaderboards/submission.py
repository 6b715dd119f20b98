"""Submissions: folders with a manifest.json and a policy.onnx from unknown authors, read defensively.

Nothing is executed here, no link is followed, and no file is read before its size is known.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import agents
from leaderboards import manifest, tracks
from leaderboards import onnx_graph as model
from leaderboards import policy_io as interface
from leaderboards.track_spec import spec_of
from leaderboards.tracks import Track
from leaderboards.untrusted_text import quoted

SUBMISSIONS = Path(__file__).parent / "submissions"
"""Folder of the submissions, one subfolder each."""

MANIFEST, POLICY = "manifest.json", "policy.onnx"

MAX_BYTES = {MANIFEST: manifest.MAX_BYTES, POLICY: 16 * 2**20}
"""Files of a submission, no others allowed, with their maximum sizes."""

MAX_PROBLEMS = 100
"""Maximum number of problems reported."""

_UNFOLLOWED = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
"""Flags for opening files, as far as the system has them: follow no link, wait for no pipe."""


class SubmissionError(ValueError):
    """A submission is not valid; `problems` lists all reasons."""

    def __init__(self, folder: Path, problems: list[str]):
        self.problems = problems
        super().__init__("\n".join([f"submission {quoted(folder.name)} is not valid:", *problems]))


@dataclass(frozen=True)
class Submission:
    """A valid submission."""

    folder: Path
    manifest: dict[str, Any]
    model: bytes
    """content of policy.onnx"""

    @property
    def name(self) -> str:
        """Name of the entry."""
        return self.manifest["name"]

    @property
    def track(self) -> Track:
        """Track that it was submitted to."""
        return tracks.find(self.manifest["track"])

    @property
    def overrides(self) -> dict[str, str]:
        """Scenario fields that it chooses."""
        return dict(self.manifest["overrides"])

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the graph's inputs."""
        return tuple(value.name for value in self._graph.graph.input)

    @property
    def parameters(self) -> int:
        """Number of elements of the floating-point tensors."""
        return model.parameters(self._graph)

    @cached_property
    def _graph(self) -> Any:
        import onnx

        return onnx.ModelProto.FromString(self.model)


def problems(folder: Path, others: Path | None = SUBMISSIONS) -> list[str]:
    """Return every problem of a submission, as "FILE: problem"; [] if it is valid.

    `others` is the folder of the entries whose names and policies are taken; None: none are.
    """
    return _examine(Path(folder), others)[1]


def read(folder: Path, others: Path | None = SUBMISSIONS) -> Submission:
    """Read a valid submission; SubmissionError lists every problem."""
    submission, wrong = _examine(Path(folder), others)
    if wrong or submission is None:
        raise SubmissionError(Path(folder), wrong)
    return submission


def submissions(folder: Path = SUBMISSIONS) -> tuple[list[Submission], list[SubmissionError]]:
    """Return a folder's valid submissions by name, and the errors of the others."""
    found, refused = [], []
    for path in _folders(folder):
        try:
            found.append(read(path, folder))
        except SubmissionError as error:
            refused.append(error)
    return found, refused


def _examine(folder: Path, others: Path | None) -> tuple[Submission | None, list[str]]:
    files, wrong = _files(folder)
    about: Any = {}
    spec = None
    if MANIFEST in files:
        about, broken = manifest.parse(files[MANIFEST])
        # Text that is not JSON at all has no fields to check.
        found = broken if about is None and broken else [*broken, *manifest.problems(about)]
        about = about if isinstance(about, dict) else {}
        spec, mismatches = _promise(about)
        found += [*mismatches, *_name(folder, about, others)]
        wrong += [f"{MANIFEST}: {problem}" for problem in found]
    if POLICY in files:
        graph, found = model.read(files[POLICY])
        if graph is not None and spec is not None:
            found += interface.problems(graph, spec)
        found += _policy(folder, files[POLICY], about, others)
        wrong += [f"{POLICY}: {problem}" for problem in found]
    wrong = list(dict.fromkeys(wrong))
    if wrong:
        more = [f"folder: and {len(wrong) - MAX_PROBLEMS} more problems"] * (len(wrong) > MAX_PROBLEMS)
        return None, [*wrong[:MAX_PROBLEMS], *more]
    return Submission(folder, about, files[POLICY]), []


def _files(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """Contents of the two files, as far as they can be read, and the folder's problems."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return {}, [f"folder: {quoted(str(folder), 300)} must be a folder, not a link"]
        names = sorted(os.listdir(folder))
    except OSError as error:
        return {}, [f"folder: {quoted(str(folder), 300)} cannot be read: {error.strerror}"]
    extra = [name for name in names if name not in MAX_BYTES]
    wrong = [f"folder: must contain only {MANIFEST} and {POLICY}, got {quoted(name)}" for name in extra[:10]]
    if len(extra) > 10:
        wrong.append(f"folder: and {len(extra) - 10} more files")
    files: dict[str, bytes] = {}
    for name, most in MAX_BYTES.items():
        if name not in names:
            wrong.append(f"{name}: missing")
            continue
        try:
            files[name] = _bytes(folder / name, most)
        except (OSError, ValueError) as error:
            wrong.append(f"{name}: {error.strerror if isinstance(error, OSError) else error}")
    return files, wrong


def _bytes(path: Path, most: int) -> bytes:
    """Content of a regular file. Raises ValueError for links, other kinds and large files; OSError if unreadable."""
    kind = path.lstat().st_mode
    if not stat.S_ISREG(kind):
        known = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}
        raise ValueError(f"must be a regular file, got {known.get(stat.S_IFMT(kind), 'a device or socket')}")
    handle = os.open(path, os.O_RDONLY | _UNFOLLOWED)
    with open(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("must be a regular file")
        if found.st_size > most:
            raise ValueError(f"must have at most {most} bytes, got {found.st_size}")
        return file.read(most)


def _promise(about: dict[str, Any]) -> tuple[Any, list[str]]:
    """Spec of the manifest's track and overrides, and the fields of the manifest that disagree with it."""
    name, overrides = about.get("track"), about.get("overrides")
    if not isinstance(name, str):
        return None, []
    try:
        track = tracks.find(name)
    except ValueError:
        return None, [f"track: must be one of {', '.join(tracks.TRACKS)}, got {quoted(name)}"]
    wrong = []
    for field, right in (("env_id", track.env_id), ("scenario", track.cells[0].scenario)):
        if isinstance(about.get(field), str) and about[field] != right:
            wrong.append(f"{field}: must be {right!r} in the track {name!r}, got {quoted(about[field])}")
    if not isinstance(overrides, dict) or not all(isinstance(value, str) for value in overrides.values()):
        return None, wrong
    try:
        spec = spec_of(track, overrides)
    except ValueError as error:
        return None, [*wrong, str(error)[:300]]  # names and values are escaped by repr
    claimed = about.get("spec_sha256")
    if isinstance(claimed, str) and claimed != spec.sha256:
        wrong.append(
            f"spec_sha256: must be {spec.sha256} in the track {name!r}, got {quoted(claimed)}: "
            "the policy was made for other observations or actions"
        )
    return spec, wrong


def _name(folder: Path, about: dict[str, Any], others: Path | None) -> Iterator[str]:
    """Check that the name is the folder's and not taken."""
    name = about.get("name")
    if not isinstance(name, str):
        return
    if name != folder.name:
        yield f"name: must be the folder's, {quoted(folder.name)}, got {quoted(name)}"
    known = {each for table in (agents.HEURISTICS, agents.LEARNERS) for names in table.values() for each in names}
    if name.casefold() in known | {"optimum", "bound"}:
        yield f"name: {quoted(name)} is the name of one of dtenv's own agents"
    for other in _folders(others):
        if other.name.casefold() == name.casefold() and other.resolve() != folder.resolve():
            yield f"name: {quoted(name)} is taken by the submission {quoted(other.name)}"


def _policy(folder: Path, data: bytes, about: dict[str, Any], others: Path | None) -> Iterator[str]:
    """Check that the policy is the one that the manifest names, and new."""
    digest, claimed = hashlib.sha256(data).hexdigest(), about.get("policy_sha256")
    if isinstance(claimed, str) and re.fullmatch("[0-9a-f]{64}", claimed) and claimed != digest:
        yield f"its SHA-256 must be the manifest's policy_sha256, {claimed}, got {digest}"
    for other in _folders(others):
        if other.resolve() == folder.resolve():
            continue
        try:
            if (other / POLICY).lstat().st_size != len(data) or _bytes(other / POLICY, MAX_BYTES[POLICY]) != data:
                continue
        except (OSError, ValueError):
            continue
        yield f"it is identical to the policy of the submission {quoted(other.name)}"


def _folders(others: Path | None) -> list[Path]:
    if others is None or not others.is_dir():
        return []
    return sorted(path for path in others.iterdir() if path.is_symlink() or path.is_dir())
