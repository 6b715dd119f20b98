"""Wire format of a policy's pipes: frames of a kind (1 byte), a length (8 bytes) and the content. No pickle.

An array is the index of its dtype in DTYPES (1 byte), its number of dimensions (1 byte), their lengths (4 bytes each)
and its values in C order, all little-endian. The worker imports this module by path, so it imports nothing of the
project.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

import numpy as np

HEADER = struct.Struct("<cQ")

LAYERS, MODEL, LOADED, INPUTS, ACTION, ERROR = b"C", b"M", b"L", b"I", b"A", b"E"
"""Kinds of frames: the worker reports its layers, receives the model and confirms it, then answers inputs with actions.
An error is its last frame."""

DTYPES = tuple(map(np.dtype, ("<f4", "<f8", "<i8", "<i4", "<f2", "<i2", "i1", "u1", "<u2", "<u4", "<u8", "?")))
"""Number types that ONNX and NumPy share."""

MAX_DIMENSIONS = 8


def array_bytes(array: np.ndarray) -> bytes:
    """Encode an array. Raises ValueError unless it holds numbers in at most MAX_DIMENSIONS dimensions."""
    dtype = array.dtype.newbyteorder("<")
    if dtype not in DTYPES or array.ndim > MAX_DIMENSIONS:
        raise ValueError(f"an array of {array.dtype} with {array.ndim} dimensions cannot be sent")
    head = struct.pack(f"<BB{array.ndim}I", DTYPES.index(dtype), array.ndim, *array.shape)
    return head + array.astype(dtype, copy=False).tobytes()


def read_array(data: memoryview) -> tuple[np.ndarray, memoryview]:
    """Decode the array at the start of untrusted bytes: a view of them, and the remaining bytes.

    Raises ValueError for malformed bytes, before anything is allocated.
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
    """Encode named arrays."""
    named = [(name.encode(), array) for name, array in inputs.items()]
    return b"".join(struct.pack("<H", len(name)) + name + array_bytes(array) for name, array in named)


def read_inputs(data: memoryview) -> dict[str, np.ndarray]:
    """Decode named arrays, the inverse of `inputs_bytes`."""
    inputs = {}
    while data:
        (length,) = struct.unpack_from("<H", data)
        name = str(data[2 : 2 + length], "utf-8")
        inputs[name], data = read_array(data[2 + length :])
    return inputs
