"""Validation of manifest.json: strict JSON, the schema, and rules for free text; all problems are reported at once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leaderboards import untrusted_text as text
from leaderboards.untrusted_text import quoted

SCHEMA = Path(__file__).with_name("manifest.schema.json")
"""JSON Schema; its descriptions are quoted in messages."""

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
MAX_DIGITS = 15
"""Maximum digits of integers, which JavaScript also represents exactly."""


def parse(data: bytes) -> tuple[Any, list[str]]:
    """Parse JSON bytes: the value (None if they cannot be parsed), and the problems of their syntax."""
    try:
        written = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, [f"must be UTF-8: {error.reason} at byte {error.start}"]
    if depth(written) > MAX_DEPTH:
        return None, [f"must nest at most {MAX_DEPTH} deep, got {depth(written)}"]
    wrong: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in items:
            if key in seen:
                wrong.append(f"key {quoted(key)} must occur once, got it again with {quoted(value)}")
            seen[key] = value
        return seen

    def constant(name: str) -> None:
        wrong.append(f"numbers must be finite, got {name}")

    def whole(digits: str) -> int | None:
        if len(digits.lstrip("-")) <= MAX_DIGITS:
            return int(digits)
        wrong.append(f"integers must have at most {MAX_DIGITS} digits, got {quoted(digits)}")
        return None

    def real(digits: str) -> float:
        if not math.isfinite(float(digits)):
            wrong.append(f"numbers must be finite, got {quoted(digits)}")
        return float(digits)

    try:
        value = json.loads(written, object_pairs_hook=pairs, parse_constant=constant, parse_int=whole, parse_float=real)
    except json.JSONDecodeError as error:
        return None, [f"must be JSON: {error}"]
    return value, wrong


def depth(written: str) -> int:
    """Maximum nesting of brackets outside strings, found without recursion."""
    deepest = level = 0
    inside = escaped = False
    for character in written:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    return deepest


def problems(manifest: Any) -> list[str]:
    """Return violations of the schema and of the rules for text, each naming field and value."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    errors = sorted(validator.iter_errors(manifest), key=lambda error: error.json_path)
    found = [message for error in errors for message in _explain(error)]
    found += [f"{where}: {wrong}" for where, line in _strings(manifest) for wrong in text.problems(line)]
    return list(dict.fromkeys(found))


def _explain(error: Any) -> Iterator[str]:
    where = error.json_path.removeprefix("$").removeprefix(".")
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        yield from (f"{where + '.' if where else ''}{name}: missing" for name in missing)
    elif error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema["properties"]
        for name in error.instance:
            if name not in known:
                yield f"{where + ': ' if where else ''}unknown field {quoted(name)}; fields: {', '.join(known)}"
    else:
        yield f"{where or 'it'}: must be {error.schema['description']}, got {quoted(error.instance)}"


def _strings(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """All strings in the values, with their paths."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{where}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            place = key if key.isidentifier() and key.isascii() else quoted(key)
            yield from _strings(item, f"{where}.{place}" if where else place)
