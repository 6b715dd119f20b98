"""Base class of the scenarios: groups of fields that can be overridden by name."""

from __future__ import annotations

import dataclasses
import difflib
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class Scenario:
    """Base class of the tasks' scenarios: frozen dataclasses of a name and of groups of fields with unique names."""

    name: str
    SITES: ClassVar[str]
    """Field that counts servers or stations."""
    COSTS_A_METRE: ClassVar[tuple[str, ...]]
    """Fields that price a metre, and so set the cost of moving against staying in a square of another size."""
    LATER: ClassVar[tuple[str, ...]] = ()
    """Fields younger than published digests of `as_dict`, which omits them at their defaults."""

    @property
    def num_sites(self) -> int:
        """Number of servers or stations."""
        return self.value(self.SITES)

    def value(self, field: str) -> Any:
        """Value of a field by name."""
        return getattr(getattr(self, self.fields()[field]), field)

    @classmethod
    def fields(cls) -> dict[str, str]:
        """Names of all overridable fields, and the group that holds each."""
        groups = (f for f in dataclasses.fields(cls) if f.name != "name")  # type: ignore[arg-type]
        return {f.name: g.name for g in groups for f in dataclasses.fields(g.default_factory)}  # type: ignore[arg-type]

    def override(self, **changes: Any) -> Self:
        """Copy with single fields replaced by name.

        Raises:
            TypeError: an unknown name; the message lists the known ones.
            ValueError: a value is out of range; the message names field and value.
        """
        known = self.fields()
        grouped: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise TypeError(f"unexpected keyword argument {name!r}{hint}; known: {', '.join(sorted(known))}")
            grouped.setdefault(known[name], {})[name] = value
        groups = {g: dataclasses.replace(getattr(self, g), **fields) for g, fields in grouped.items()}
        return dataclasses.replace(self, **groups)  # type: ignore[type-var]

    def as_dict(self) -> dict[str, Any]:
        """Field values by name, for manifests, without LATER at their defaults; a recording becomes its provenance."""
        defaults = type(self)()
        shown = (name for name in self.fields() if name not in self.LATER or self.value(name) != defaults.value(name))
        values = {name: self.value(name) for name in shown}
        recording = values["recording"]
        values["recording"] = None if recording is None else recording.provenance
        return {"name": self.name, **values}
