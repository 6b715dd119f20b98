"""Optional Weights & Biases tracking: offline unless WANDB_MODE or a sweep says otherwise, so no account is needed.

Names are those of CleanRL: `charts/…` and `losses/…` over `global_step`, and `env_id`, `exp_name` and `seed` in the
configuration, by which openrlbenchmark finds runs.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dtenv
from agents.training.files import sibling
from dtenv.reporting.source import commit


class Tracker:
    """Logs rows to a W&B run; does nothing unless enabled.

    Args:
        config: a dataclass of settings with env_id, seed and resolve(), stored with the run.
        enabled: whether to log.
        name: name of the run.
        learner: name of the learner.
        project: W&B project of the run.
        folder: folder of W&B's files.
    """

    def __init__(
        self,
        config: Any,
        *,
        enabled: bool,
        name: str,
        learner: str,
        project: str = "dtenv",
        folder: Path = Path("runs"),
    ):
        self._run: Any = None
        if enabled:
            import wandb  # takes most of a second to import

            self._wandb: Any = wandb
            folder.mkdir(parents=True, exist_ok=True)
            scenario = config.resolve()
            self._slots = scenario.value("num_slots")
            about = {"exp_name": learner, "scenario": scenario.name, "dtenv": dtenv.__version__, "commit": commit()}
            self._run = wandb.init(
                project=project,
                name=name,
                dir=str(folder),
                mode=mode(),  # type: ignore[arg-type]
                config={**dataclasses.asdict(config), **about},
                tags=[config.env_id, learner, scenario.name],
                settings=wandb.Settings(silent=True, console="off"),
            )
            self._run.define_metric("global_step")
            for group in ("charts", "losses", "seconds"):
                self._run.define_metric(f"{group}/*", step_metric="global_step")

    @property
    def enabled(self) -> bool:
        """Whether the tracker logs."""
        return self._run is not None

    def log(self, row: Mapping[str, Any]) -> None:
        """Log one row, at its `global_step` if it has one."""
        if self._run is not None:
            length = {"charts/episodic_length": self._slots} if "charts/episodic_return" in row else {}
            self._run.log({**{k: v for k, v in row.items() if k != "charts/phase"}, **length})

    def log_media(self, key: str, path: Path) -> None:
        """Log an image or a GIF."""
        if self._run is not None:
            wandb = self._wandb
            media = wandb.Video(str(path), format="gif") if path.suffix == ".gif" else wandb.Image(str(path))
            self._run.log({key: media})

    def log_table(self, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log rows with the same columns as a table."""
        if self._run is not None:
            self._run.log({key: self._wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows])})

    def log_policy(self, path: Path) -> None:
        """Log a saved policy, its weights and its JSON file, as an artifact."""
        if self._run is not None:
            about = self._run.config
            name = f"{about['exp_name']}-{about['env_id']}-{about['scenario']}"
            artifact = self._wandb.Artifact(re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII), type="model")
            artifact.add_file(str(path))
            artifact.add_file(str(sibling(path, ".json")))
            self._run.log_artifact(artifact)

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._run is not None:
            self._run.finish()


def mode() -> str:
    """W&B mode: WANDB_MODE if set, else online for the agent of a sweep, which has an account, else offline."""
    return os.environ.get("WANDB_MODE") or ("online" if "WANDB_SWEEP_ID" in os.environ else "offline")
