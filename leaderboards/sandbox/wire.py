"""What passes through a policy's pipes: frames of a kind (1 byte), a length (8) and as many bytes. No pickle.

An array is its dtype's place in DTYPES (1 byte), its number of dimensions (1), their lengths (4 each) and its numbers
in C order, little-endian throughout. The worker imports this by path, so nothing of the project is
imported here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

import numpy as np

HEADER = struct.Struct("<cQ")

LAYERS, MODEL, LOADED, INPUTS, ACTION, ERROR = b"C", b"M", b"L", b"I", b"A", b"E"
"""Kinds: the worker tells what confines it, is given the model, tells that it has loaded it; then observations go one
way and actions the other. An error is the worker's last frame."""

DTYPES = tuple(map(np.dtype, ("<f4", "<f8", "<i8", "<i4", "<f2", "<i2", "i1", "u1", "<u2", "<u4", "<u8", "?")))
"""Numbers that ONNX and NumPy share."""

MAX_DIMENSIONS = 8


def array_bytes(array: np.ndarray) -> bytes:
    """An array as bytes.

    Raises:
        ValueError: it does not hold numbers, or has too many dimensions.
    """
    dtype = array.dtype.newbyteorder("<")
    if dtype not in DTYPES or array.ndim > MAX_DIMENSIONS:
        raise ValueError(f"an array of {array.dtype} with {array.ndim} dimensions cannot be sent")
    head = struct.pack(f"<BB{array.ndim}I", DTYPES.index(dtype), array.ndim, *array.shape)
    return head + array.astype(dtype, copy=False).tobytes()


def read_array(data: memoryview) -> tuple[np.ndarray, memoryview]:
    """The array at the beginning of bytes that anybody may have written, as a view of them, and what follows it.

    Raises:
        ValueError: there is none; nothing has been allocated.
    """
    if len(data) < 2:
        raise ValueError(f"an array of {len(data)} bytes")
    code, dimensions = data[0], data[1]
    start = 2 + 4 * dimensions
    if code >= len(DTYPES) or dimensions > MAX_DIMENSIONS or len(data) < start:
        raise ValueError(f"an array of dtype {code} with {dimensions} dimensions in {len(data)} bytes")
    shape = struct.unpack_from(f"<{dimensions}I", data, 2)
    end = start + math.prod(shape) * DTYPES[code].itemsize
    if len(data) < end:
        raise ValueError(f"an array of shape {shape} in {len(data)} bytes")
    return np.frombuffer(data[start:end], DTYPES[code]).reshape(shape), data[end:]


def inputs_bytes(inputs: Mapping[str, np.ndarray]) -> bytes:
    """Named arrays as bytes."""
    names = [name.encode() for name in inputs]
    return b"".join(
        struct.pack("<H", len(name)) + name + array_bytes(array)
        for name, array in zip(names, inputs.values(), strict=True)
    )


def read_inputs(data: memoryview) -> dict[str, np.ndarray]:
    """Of inputs_bytes, the inverse."""
    inputs = {}
    while data:
        (length,) = struct.unpack_from("<H", data)
        name = str(data[2 : 2 + length], "utf-8")
        inputs[name], data = read_array(data[2 + length :])
    return inputs
