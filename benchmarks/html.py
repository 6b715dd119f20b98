"""HTML pages, rendered from the folder templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2


def render(template: str, **context: Any) -> str:
    """Render a template of the folder templates, with its context escaped."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    env = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return env.get_template(template).render(**context)
