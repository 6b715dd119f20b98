"""Base of the scenarios: groups of fields, overridden by name."""

from __future__ import annotations

import dataclasses
import difflib
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class Scenario:
    """Base of the tasks' scenarios: frozen dataclasses of a name and of groups of fields, whose names are unique."""

    name: str
    SITES: ClassVar[str]
    """The field that counts what stands on sites."""
    COSTS_A_METRE: ClassVar[tuple[str, ...]]
    """Fields that say what a metre costs, and so decide how moving and staying weigh in a square of other size."""
    LATER: ClassVar[tuple[str, ...]] = ()
    """Fields younger than published digests of `as_dict`, which has them only where they are not at their defaults."""

    @property
    def num_sites(self) -> int:
        """How many servers or stations there are."""
        return self.value(self.SITES)

    def value(self, field: str) -> Any:
        """A field's value by its name."""
        return getattr(getattr(self, self.fields()[field]), field)

    @classmethod
    def fields(cls) -> dict[str, str]:
        """Every overridable field's name, and the group that holds it."""
        groups = (f for f in dataclasses.fields(cls) if f.name != "name")  # type: ignore[arg-type]
        return {f.name: g.name for g in groups for f in dataclasses.fields(g.default_factory)}  # type: ignore[arg-type]

    def override(self, **changes: Any) -> Self:
        """A copy with single fields replaced by name.

        Raises:
            TypeError: a name is no field; the message lists the known ones.
            ValueError: a value is out of its range; the message names field and value.
        """
        known = self.fields()
        grouped: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise TypeError(f"unknown keyword {name!r}{hint}; known: {', '.join(sorted(known))}")
            grouped.setdefault(known[name], {})[name] = value
        groups = {g: dataclasses.replace(getattr(self, g), **fields) for g, fields in grouped.items()}
        return dataclasses.replace(self, **groups)  # type: ignore[type-var]

    def as_dict(self) -> dict[str, Any]:
        """Field values by name, for manifests, see LATER; a recording stands as its provenance."""
        defaults = type(self)()
        shown = (name for name in self.fields() if name not in self.LATER or self.value(name) != defaults.value(name))
        values = {name: self.value(name) for name in shown}
        recording = values["recording"]
        values["recording"] = None if recording is None else recording.provenance
        return {"name": self.name, **values}
