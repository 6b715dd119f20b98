"""Submissions: one in order, made by hand, and what strangers could send in its place."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import dtenv
from leaderboards.track_spec import spec_of
from leaderboards.tracks import TRACKS

TRACK = TRACKS["migration-balanced"]
SIZE, CHOICES = 228, 10
"""Of its observations, and of its actions."""

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def about(folder: str, model: bytes, **changes: Any) -> dict[str, Any]:
    """A manifest, with some fields in place of the right ones; a field ... is left out."""
    fields = {
        "schema": 1,
        "name": folder,
        "authors": ["Ada Lovelace"],
        "description": "A linear policy.",
        "dtenv": dtenv.__version__,
        "env_id": TRACK.env_id,
        "track": TRACK.name,
        "scenario": "balanced",
        "overrides": {},
        "spec_sha256": spec_of(TRACK).sha256,
        "policy_sha256": hashlib.sha256(model).hexdigest(),
        "algorithm": "PPO",
        "training": {"seeds": [1, 2], "env_steps": 1000, "hardware": "2 cores"},
        "code": "https://example.org/agent",
        "licence": "MIT",
        **changes,
    }
    return {key: value for key, value in fields.items() if value is not ...}


def write(folder: Path, model: bytes | None = None, **changes: Any) -> Path:
    """A submission with a model of one's own and changes to its manifest."""
    model = linear() if model is None else model
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.onnx").write_bytes(model)
    text = json.dumps(about(folder.name, model, **changes))
    (folder / "manifest.json").write_text(text)
    return folder


def graph(nodes=None, weights=None, inputs=None, outputs=None) -> onnx.GraphProto:
    """The best of linear scores, or another graph of those parts."""
    if weights is None:
        scores = np.random.default_rng(0).normal(size=(SIZE, CHOICES)).astype(np.float32)
        weights = [numpy_helper.from_array(scores, "weights")]
    nodes = nodes or [
        helper.make_node("MatMul", ["obs", "weights"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["action"], axis=1, keepdims=0),
    ]
    inputs = inputs or [helper.make_tensor_value_info("obs", FLOAT, ["batch", SIZE])]
    outputs = outputs or [helper.make_tensor_value_info("action", INT64, ["batch"])]
    return helper.make_graph(nodes, "policy", inputs, outputs, weights)


def model(made: onnx.GraphProto | None = None, opset: int = 20, **fields: Any) -> onnx.ModelProto:
    """A model of a graph."""
    domains = [helper.make_opsetid("", opset), *fields.pop("domains", [])]
    return helper.make_model(made or graph(), opset_imports=domains, ir_version=10, **fields)


def linear(seed: int = 0) -> bytes:
    """A policy in order."""
    scores = np.random.default_rng(seed).normal(size=(SIZE, CHOICES)).astype(np.float32)
    return model(graph(weights=[numpy_helper.from_array(scores, "weights")])).SerializeToString()


def replaced(old: str, *nodes: onnx.NodeProto, weights=None, **fields: Any) -> bytes:
    """The linear policy with nodes in place of the one of an operator."""
    first = helper.make_node("MatMul", ["obs", "weights"], ["scores"])
    last = helper.make_node("ArgMax", ["scores"], ["action"], axis=1, keepdims=0)
    kept = {"MatMul": [last], "ArgMax": [first], "": [first, last]}[old]
    every = [*nodes, *kept] if old == "MatMul" else [*kept, *nodes]
    return model(graph(every, weights), **fields).SerializeToString()


class Malice:
    """What a pickle would run."""

    def __reduce__(self):
        return os.system, ("touch /tmp/pwned",)


def pickled() -> bytes:
    return pickle.dumps(Malice())


def zip_bomb() -> bytes:
    """100 MB of zeros in 100 kB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights.bin", b"\0" * 100_000_000)
    return file.getvalue()


def external(location: str, inside_constant: bool = False) -> bytes:
    """Weights that lie in another file."""
    tensor = TensorProto(name="weights", data_type=FLOAT, dims=[SIZE, CHOICES], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    if inside_constant:
        return replaced("", helper.make_node("Constant", [], ["unused"], value=tensor))
    return model(graph(weights=[tensor])).SerializeToString()


def hollow() -> bytes:
    """2 GB of weights by their dims, without any."""
    tensor = TensorProto(name="weights", data_type=FLOAT, dims=[SIZE, 2_400_000])
    return model(graph(weights=[tensor])).SerializeToString()


def overflowing() -> bytes:
    """Dims whose product is 0 in 64 bits."""
    tensor = TensorProto(name="weights", data_type=FLOAT, dims=[2**32, 2**32])
    return model(graph(weights=[tensor])).SerializeToString()


def many_dims() -> bytes:
    """Dims whose product has millions of digits."""
    tensor = TensorProto(name="weights", data_type=FLOAT, dims=[2**62] * 400_000)
    return model(graph(weights=[tensor])).SerializeToString()


def negative() -> bytes:
    tensor = TensorProto(name="weights", data_type=FLOAT, dims=[-SIZE, CHOICES])
    return model(graph(weights=[tensor])).SerializeToString()


def sparse() -> bytes:
    made = model()
    made.graph.sparse_initializer.add(
        values=numpy_helper.from_array(np.ones(1, np.float32), "s"),
        indices=numpy_helper.from_array(np.zeros(1, np.int64), "i"),
        dims=[2**40],
    )
    return made.SerializeToString()


def own_operator() -> bytes:
    node = helper.make_node("Backdoor", ["obs"], ["x"], domain="com.evil")
    return replaced("", node, domains=[helper.make_opsetid("com.evil", 1)])


def own_function() -> bytes:
    """A function that hides an operator of another domain."""
    hidden = helper.make_node("Backdoor", ["a"], ["b"], domain="com.evil")
    domains = [helper.make_opsetid("", 20), helper.make_opsetid("com.evil", 1)]
    function = helper.make_function("local", "Harmless", ["a"], ["b"], [hidden], domains)
    call = helper.make_node("Harmless", ["obs"], ["x"], domain="local")
    return replaced("", call, domains=[helper.make_opsetid("local", 1)], functions=[function])


def unknown_operator() -> bytes:
    return replaced("", helper.make_node("ReadSeed", ["obs"], ["seed"]))


def hidden_operator() -> bytes:
    """An operator of another domain, three subgraphs deep."""
    inner = [helper.make_node("Backdoor", ["obs"], ["y"], domain="com.evil")]
    return nested(3, inner)


def random_noise() -> bytes:
    return replaced("", helper.make_node("RandomNormalLike", ["obs"], ["noise"]))


def random_dropout() -> bytes:
    ratio, on = numpy_helper.from_array(np.float32(0.5), "ratio"), numpy_helper.from_array(np.bool_(True), "on")
    weights = [*graph().initializer, ratio, on]
    return replaced("", helper.make_node("Dropout", ["obs", "ratio", "on"], ["x"]), weights=weights)


def nested(depth: int, inside: list[onnx.NodeProto] | None = None) -> bytes:
    """If in If in If …"""
    nodes = inside or [helper.make_node("Identity", ["obs"], ["y"])]
    given = [helper.make_tensor_value_info("y", FLOAT, None)]
    for _ in range(depth):
        branch = helper.make_graph(nodes, "branch", [], given)
        nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=branch)]
    yes = numpy_helper.from_array(np.bool_(True), "yes")
    return replaced("", *nodes, weights=[*graph().initializer, yes])


def deep_wire(depth: int = 50_000) -> bytes:
    """Graphs in attributes in nodes, `depth` times, written as bytes: no library would build it."""
    inner = b""
    for _ in range(depth):
        for tag in (0x32, 0x2A, 0x0A):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            inner = bytes([tag]) + _varint(len(inner)) + inner
        if len(inner) > 20_000:
            break
    return b"\x3a" + _varint(len(inner)) + inner


def many_empty_nodes() -> bytes:
    """Two bytes a node: a hundred times as large once it is built."""
    nodes = b"\x0a\x00" * 4_000_000
    return b"\x08\x0a\x3a" + _varint(len(nodes)) + nodes


def many_nodes() -> bytes:
    return replaced("", *[helper.make_node("Identity", ["obs"], [f"x{i}"]) for i in range(20_001)])


def polyglot() -> bytes:
    """A zip archive behind a model, in a field of its own."""
    payload = zip_bomb()[:1000]
    return linear() + b"\xfa\x01" + _varint(len(payload)) + payload  # field 31


def large_notes() -> bytes:
    made = model()
    made.metadata_props.add(key="story", value="x" * 2_000_000)
    return made.SerializeToString()


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def endless() -> bytes:
    """A loop that goes on for 2^62 rounds before it tells the linear policy's action."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["on_out"]), helper.make_node("Sin", ["s"], ["s_out"])],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("s", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("s_out", FLOAT, None),
        ],
    )
    rounds, on = numpy_helper.from_array(np.int64(2**62), "rounds"), numpy_helper.from_array(np.bool_(True), "yes")
    nodes = [
        helper.make_node("MatMul", ["obs", "weights"], ["first"]),
        helper.make_node("Loop", ["rounds", "yes", "first"], ["scores"], body=body),
        helper.make_node("ArgMax", ["scores"], ["action"], axis=1, keepdims=0),
    ]
    return model(graph(nodes, [*graph().initializer, rounds, on])).SerializeToString()
