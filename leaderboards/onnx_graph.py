"""Rules for a policy's ONNX graph: standard operators, its own weights, named inputs, one action.

It is parsed from bytes, never from a path, so that it cannot pull in other files; and it is never executed here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from leaderboards import protobuf_limits as protobuf
from leaderboards.untrusted_text import quoted

MAX_NODES = 20_000
"""Maximum number of nodes, including those of subgraphs."""

MAX_NESTING = 8
"""Maximum nesting of subgraphs (of If, Loop, Scan)."""

MAX_RANK = 8
"""Maximum number of dims of a tensor."""

MAX_TENSOR_BYTES = 64 * 2**20
"""Maximum size of all tensors together, unpacked."""

MAX_NOTES_BYTES = 2**20
"""Maximum size of producer names, documentation and metadata."""

OPSETS = range(13, 27)
IR_VERSIONS = range(7, 14)
"""Versions that the pinned ONNX Runtime reads; since opset 13, axes and training modes are inputs."""

RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
"""Random operators, which make results irreproducible."""

LOOKALIKES = (
    (b"\x80", "a pickle"),
    (b"PK", "a zip archive (as torch.save writes)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x7fELF", "an executable"),
    (b"{", "JSON"),
    (b"version https://git-lfs", "a Git LFS pointer"),
    (b"\0", "a file of zeros"),
)
"""First bytes of other file types."""

# Element types by number: name, bytes, and the field for elements that are not packed as raw bytes.
_TYPES: dict[int, tuple[str, int, str]] = {
    1: ("float32", 4, "float_data"),
    2: ("uint8", 1, "int32_data"),
    3: ("int8", 1, "int32_data"),
    4: ("uint16", 2, "int32_data"),
    5: ("int16", 2, "int32_data"),
    6: ("int32", 4, "int32_data"),
    7: ("int64", 8, "int64_data"),
    9: ("bool", 1, "int32_data"),
    10: ("float16", 2, "int32_data"),
    11: ("float64", 8, "double_data"),
    12: ("uint32", 4, "uint64_data"),
    13: ("uint64", 8, "uint64_data"),
    16: ("bfloat16", 2, "int32_data"),
}
_FLOATS = frozenset({1, 10, 11, 16})
_DATA = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def read(data: bytes) -> tuple[Any, list[str]]:
    """Return the model (None if it is unreadable or too large to check) and all of its problems."""
    import onnx
    from google.protobuf.message import DecodeError

    if not data:
        return None, ["it is empty"]
    like = next((f": it looks like {what}" for start, what in LOOKALIKES if data.startswith(start)), "")
    form = protobuf.problem(data, onnx.ModelProto.DESCRIPTOR)
    if form is not None:
        return None, [f"it is not a valid ONNX model{like or f': {form}'}"]
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        return None, [f"it is not a valid ONNX model: {quoted(str(error))}"]
    if not model.HasField("graph"):
        return None, ["it is not a valid ONNX model: it has no graph"]
    nested, nodes = _extent(model.graph)
    wrong = [f"graphs must nest at most {MAX_NESTING} deep, got more"] * (nested > MAX_NESTING)
    wrong += [f"nodes must be at most {MAX_NODES}, including subgraphs, got {nodes}"] * (nodes > MAX_NODES)
    if wrong:
        return None, wrong
    wrong = [*_head(model), *_operators(model), *_tensors(model), *_notes(model)]
    if not wrong:
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            wrong = [f"the ONNX checker says: {quoted(str(error).strip(), 300)}"]
    return model, list(dict.fromkeys(wrong))


def parameters(model: Any) -> int:
    """Number of elements of all floating-point tensors: initialisers, and constants used instead of them."""
    counted = (tensor for _, tensor in _all_tensors(model) if tensor.data_type in _FLOATS)
    return sum(math.prod(tensor.dims) for tensor in counted)


def _extent(graph: Any) -> tuple[int, int]:
    """Nesting depth of the graphs, 0 for the outermost, and their number of nodes; stops at the first excess."""
    deepest = nodes = 0
    stack = [(graph, 0)]
    while stack:
        graph, depth = stack.pop()
        deepest, nodes = max(deepest, depth), nodes + len(graph.node)
        if deepest > MAX_NESTING or nodes > MAX_NODES:
            break
        stack += [(inner, depth + 1) for node in graph.node for inner in _inner(node)]
    return deepest, nodes


def _inner(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for inner in _inner(node):
            yield from _graphs(inner)


def _standard_opsets(model: Any) -> list[int]:
    return [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]


def _head(model: Any) -> Iterator[str]:
    """Problems of the model outside its graph."""
    if model.ir_version not in IR_VERSIONS:
        yield f"ir_version must be {IR_VERSIONS[0]} to {IR_VERSIONS[-1]}, got {model.ir_version}"
    standard = _standard_opsets(model)
    if len(standard) != 1 or standard[0] not in OPSETS:
        got = ", ".join(map(str, standard[:8])) or "none"
        yield f"it must import one opset of the standard operators, {OPSETS[0]} to {OPSETS[-1]}, got {got}"
    if model.functions:
        names = ", ".join(quoted(f"{f.domain}.{f.name}") for f in model.functions[:5])
        yield f"local functions must be inlined, got {names}"
    if model.training_info:
        yield "it must have no training_info"


def _operators(model: Any) -> Iterator[str]:
    """Operators that are not standard, or random."""
    import onnx

    version = max(_standard_opsets(model), default=0)
    known: dict[str, bool] = {}
    for graph in _graphs(model.graph):
        for node in graph.node:
            name = node.op_type
            if node.domain not in ("", "ai.onnx"):
                yield f"operators must be ONNX's standard ones, got {quoted(name)} of domain {quoted(node.domain)}"
                continue
            if name not in known:
                known[name] = onnx.defs.has(name, version) if version in OPSETS else onnx.defs.has(name)
            if not known[name]:
                yield f"operator {quoted(name)} is not in opset {version}"
            if name in RANDOM or (name == "Dropout" and len(node.input) > 2 and node.input[2]):
                how = " in training mode" if name == "Dropout" else ""
                yield f"operator {name}{how} is random: results could not be reproduced"
            for attribute in node.attribute:
                if attribute.ref_attr_name:
                    yield f"attribute {quoted(attribute.name)} of {quoted(name)} refers to a function attribute"


def _all_tensors(model: Any) -> Iterator[tuple[str, Any]]:
    """All dense tensors with data, with their descriptions."""
    for graph in _graphs(model.graph):
        yield from ((f"initialiser {quoted(tensor.name)}", tensor) for tensor in graph.initializer)
        for node in graph.node:
            for attribute in node.attribute:
                where = f"attribute {quoted(attribute.name)} of {quoted(node.op_type)}"
                if attribute.HasField("t"):
                    yield where, attribute.t
                yield from ((where, tensor) for tensor in attribute.tensors)


def _tensors(model: Any) -> Iterator[str]:
    """Tensors with external data, data that do not match their dims, or too much data."""
    if any(_sparse(graph) for graph in _graphs(model.graph)):
        yield "tensors must be dense, got sparse ones"
    claimed = 0
    for where, tensor in _all_tensors(model):
        if tensor.data_location or tensor.external_data:
            places = [entry.value for entry in tensor.external_data if entry.key == "location"]
            yield f"{where} must contain its data, got external data at {quoted(places[0] if places else '')}"
            continue
        if len(tensor.dims) > MAX_RANK:
            yield f"{where} must have at most {MAX_RANK} dims, got {len(tensor.dims)}"
            continue
        dims = list(tensor.dims)
        if any(d < 0 for d in dims):
            yield f"{where} must have no negative dims, got {quoted(dims)}"
            continue
        if tensor.data_type not in _TYPES:
            known = ", ".join(name for name, _, _ in _TYPES.values())
            yield f"{where} must be of {known}, got ONNX's data type {tensor.data_type}"
            continue
        name, size, field = _TYPES[tensor.data_type]
        elements = math.prod(dims)
        claimed += size * elements
        raw, own = tensor.HasField("raw_data"), len(getattr(tensor, field))
        others = [each for each in _DATA if each != field and len(getattr(tensor, each))]
        held = len(tensor.raw_data) / size if raw else own
        if held != elements or others or (raw and own) or tensor.HasField("segment"):
            yield f"{where} has dims {quoted(dims)} of {name}, {elements} elements, but holds data of {held:g}"
    if claimed > MAX_TENSOR_BYTES:
        yield f"tensors must have at most {MAX_TENSOR_BYTES} bytes together, got dims of {claimed}"


def _sparse(graph: Any) -> bool:
    attributes = (attribute for node in graph.node for attribute in node.attribute)
    return bool(graph.sparse_initializer) or any(a.HasField("sparse_tensor") or a.sparse_tensors for a in attributes)


def _notes(model: Any) -> Iterator[str]:
    """Size of the text that no runtime reads."""
    size = len(model.doc_string) + len(model.producer_name) + len(model.producer_version) + len(model.domain)
    size += sum(len(entry.key) + len(entry.value) for entry in model.metadata_props)
    for graph in _graphs(model.graph):
        size += len(graph.doc_string) + sum(len(e.key) + len(e.value) for e in graph.metadata_props)
        for node in graph.node:
            size += len(node.doc_string) + sum(len(e.key) + len(e.value) for e in node.metadata_props)
    if size > MAX_NOTES_BYTES:
        yield f"documentation and metadata must have at most {MAX_NOTES_BYTES} characters, got {size}"
