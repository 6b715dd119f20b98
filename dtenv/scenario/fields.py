"""What scenarios have in common: fields checked by name, and overriding single ones."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Self

Range = tuple[float, float]


def number(name: str, value: Any) -> float:
    """The value as a float, or ValueError where it is none or not finite."""
    try:
        if not isinstance(value, bool | np.bool_ | str | bytes) and np.isscalar(value) and math.isfinite(value):  # type: ignore[arg-type]
            return float(value)  # type: ignore[arg-type]
    except (TypeError, OverflowError):
        pass  # complex, or a whole number beyond floats
    raise ValueError(f"{name} must be a finite number, got {value!r}")


def numbers(name: str, values: Any) -> tuple[float, ...]:
    """The values as floats, or ValueError that names the entry at fault."""
    if isinstance(values, str) or not np.iterable(values):
        raise ValueError(f"{name} must be a sequence of numbers, got {values!r}")
    return tuple(number(f"{name}[{i}]", value) for i, value in enumerate(values))


def at_least(group: Any, low: float, *names: str) -> None:
    """Refuse named fields of a group below `low`."""
    for name in names:
        if number(name, getattr(group, name)) < low:
            raise ValueError(f"{name} must be at least {low:g}, got {getattr(group, name)!r}")


def positive(group: Any, *names: str) -> None:
    """Refuse named fields of a group that are not above zero."""
    for name in names:
        if number(name, getattr(group, name)) <= 0:
            raise ValueError(f"{name} must be positive, got {getattr(group, name)!r}")


def share(group: Any, name: str) -> None:
    """Refuse a field outside [0, 1]."""
    if not 0.0 <= number(name, getattr(group, name)) <= 1.0:
        raise ValueError(f"{name} must lie in [0, 1], got {getattr(group, name)!r}")


def boolean(group: Any, name: str) -> None:
    """Refuse a field that is neither True nor False."""
    if not isinstance(getattr(group, name), bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {getattr(group, name)!r}")


def count(group: Any, *names: str) -> None:
    """Make named fields whole numbers of at least 1, or refuse them."""
    for name in names:
        value = getattr(group, name)
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        object.__setattr__(group, name, int(value))


def one_of(group: Any, name: str, known: Sequence[str]) -> None:
    """Refuse a field that is not one of the known words."""
    value = getattr(group, name)
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def pair(group: Any, low: float, *names: str) -> None:
    """Make named fields pairs low <= high, or refuse them."""
    for name in names:
        value = getattr(group, name)
        try:
            a, b = numbers(name, value)
        except ValueError:
            raise ValueError(f"{name} must be a pair (low, high), got {value!r}") from None
        if not low <= a <= b:
            raise ValueError(f"{name} must be a pair {low:g} <= low <= high, got {value!r}")
        object.__setattr__(group, name, (a, b))


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
