"""Size and nesting checks of protobuf bytes before parsing, which can expand them a hundredfold and exhaust stack."""

from __future__ import annotations

from functools import cache
from typing import Any

MAX_FIELDS = 500_000
"""Maximum number of values and messages in total."""

MAX_DEPTH = 60
"""Maximum nesting of messages; protobuf's own readers stop at a hundred."""

_TEXT = object()


def problem(data: bytes, kind: Any) -> str | None:
    """Return the first problem of bytes as a message of type `kind` (a Descriptor), or None, without parsing them."""
    seen = 0
    stack = [(0, len(data), kind, 1)]
    while stack:
        at, end, kind, depth = stack.pop()
        if depth > MAX_DEPTH:
            return f"its messages must nest at most {MAX_DEPTH} deep"
        known = _fields(kind)
        while at < end:
            seen += 1
            if seen > MAX_FIELDS:
                return f"it must have at most {MAX_FIELDS} fields"
            key, at = _varint(data, at, end)
            number, form = key >> 3, key & 7
            if at <= end and number not in known:
                return f"its {kind.name} has a field {number} that ONNX does not know"
            if form == 2:
                size, at = _varint(data, at, end)
                inside = known.get(number)
                if inside is _TEXT and not _is_text(data[at : at + size]):
                    return f"its {kind.name} has text that is not UTF-8"
                if inside is not None and inside is not _TEXT:
                    stack.append((at, at + size, inside, depth + 1))
                at += size
            elif form == 0:
                _, at = _varint(data, at, end)
            elif form in (1, 5):
                at += 8 if form == 1 else 4
            else:
                return f"its {kind.name} has a field of wire type {form} that ONNX does not use"
            if at > end:
                return f"its {kind.name} ends too early"
    return None


@cache
def _fields(kind: Any) -> dict[int, Any]:
    """Fields of a message by number: their Descriptor if they are messages, _TEXT if they are text."""
    numbered = kind.fields_by_number.items()
    return {number: _TEXT if field.type == field.TYPE_STRING else field.message_type for number, field in numbered}


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Decode a varint; return it and the position after it, which lies past `end` if it is incomplete."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    return value, end + 1
