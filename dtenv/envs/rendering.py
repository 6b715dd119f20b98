"""Mixin with the rendering of the environments."""

from __future__ import annotations

import pkgutil
from typing import Any

import gymnasium as gym
from gymnasium.error import ResetNeeded

RENDER_MODES = ("rgb_array", "human")


class RenderMixin:
    """Mixin that renders an environment with a task; render_mode is "rgb_array", "human" or None, else ValueError."""

    canvas: str
    """Canvas class of the task, as "module:class"."""
    rendered_entry: str | None = "score"
    """Entry of `info` whose history the canvas draws; None for all entries."""
    task: Any
    scenario: Any

    def __init__(self, render_mode: str | None):
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"render_mode must be one of {', '.join(RENDER_MODES)} or None, got {render_mode!r}")
        self.render_mode = render_mode
        self._canvas: Any = None
        self._values: list[Any] = []

    def _first_picture(self) -> None:
        """Called after reset."""
        self._values = []
        if self.render_mode == "human":
            self.render()

    def _next_picture(self, info: dict[str, Any]) -> None:
        """Called after each step."""
        if self.render_mode is not None:
            self._values.append(dict(info) if self.rendered_entry is None else info[self.rendered_entry])
            if self.render_mode == "human":
                self.render()

    def render(self) -> Any:
        """Draw the last slot: an image (H, W, 3) for "rgb_array", a window for "human"."""
        if self.render_mode is None:
            gym.logger.warn('render() needs an environment made with render_mode="rgb_array" or "human"')
            return None
        if not self.task.state.slot[0]:
            raise ResetNeeded("render() was called before the first reset(): call reset()")
        if self._canvas is None:
            canvas = pkgutil.resolve_name(self.canvas)  # drawing libraries are optional and slow to import
            self._canvas = canvas(self.scenario, window=self.render_mode == "human")
        return self._canvas.draw(self.task, self._values)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None

    def __getstate__(self) -> dict[str, Any]:
        """State without the canvas: a copy creates its own."""
        return {**self.__dict__, "_canvas": None}


def not_steppable_reason(task: Any, last_slot: int) -> str:
    """Reason why no slot can be played, for messages."""
    ended = bool(task.state.slot[0])
    return f"after the episode's end (num_slots={last_slot})" if ended else "before the first reset()"
