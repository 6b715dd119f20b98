"""Weights & Biases, where wanted: offline unless WANDB_MODE says otherwise, so no account or network is needed."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any


class Tracker:
    """Logs rows to a W&B run; does nothing where not enabled.

    Args:
        config: a dataclass of settings, stored with the run.
        enabled: whether to log.
        name: of the run.
        project: of the run.
        folder: where W&B keeps its files.
    """

    def __init__(self, config: Any, *, enabled: bool, name: str, project: str = "dtenv", folder: Path = Path("runs")):
        self._run: Any = None
        if enabled:
            import wandb  # takes most of a second to import

            folder.mkdir(parents=True, exist_ok=True)
            self._run = wandb.init(
                project=project,
                name=name,
                dir=str(folder),
                mode=os.environ.get("WANDB_MODE", "offline"),  # type: ignore[arg-type]
                config=dataclasses.asdict(config),
                settings=wandb.Settings(silent=True, console="off"),
            )

    def log(self, row: dict[str, Any]) -> None:
        """Log one row; `global_step`, where present, is its step."""
        if self._run is not None:
            self._run.log({k: v for k, v in row.items() if k != "charts/phase"})

    def log_media(self, key: str, path: Path) -> None:
        """Log a picture or an animation."""
        if self._run is not None:
            import wandb

            media = wandb.Video(str(path), format="gif") if path.suffix == ".gif" else wandb.Image(str(path))
            self._run.log({key: media})

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._run is not None:
            self._run.finish()
