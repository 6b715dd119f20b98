"""Small ONNX graphs that mean no good, and two that do. From "obs" (1, size) to "action", as bytes of a file."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL, UINT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8


def model(nodes, constants=None, size=4, kind=FLOAT, whole=False):
    """A file of a graph's nodes and its constants by name; if asked for, it promises one whole number."""
    if whole:
        nodes[-1].output[0] = "real"
        nodes, kind = [*nodes, helper.make_node("Cast", ["real"], ["action"], to=INT64)], INT64
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("obs", FLOAT, [1, size])],
        [helper.make_tensor_value_info("action", kind, ["batch"] if whole else None)],
        [
            value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), name)
            for name, value in (constants or {}).items()
        ],
    )
    made: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString()


def scaled(factor, **settings):
    """Action: the observation times a factor, which may be nan."""
    return model([helper.make_node("Mul", ["obs", "factor"], ["action"])], {"factor": np.float32(factor)}, **settings)


def network(weights):
    """Action: one layer of a network, with weights (size, outputs)."""
    nodes = [helper.make_node("MatMul", ["obs", "weights"], ["sums"]), helper.make_node("Tanh", ["sums"], ["action"])]
    return model(nodes, {"weights": weights}, len(weights))


def endless(**settings):
    """A loop with 2⁶³ - 1 rounds."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still_on"]), helper.make_node("Neg", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("round", INT64, []),
            helper.make_tensor_value_info("on", BOOL, []),
            helper.make_tensor_value_info("x", FLOAT, None),
        ],
        [helper.make_tensor_value_info("still_on", BOOL, []), helper.make_tensor_value_info("y", FLOAT, None)],
    )
    loop = helper.make_node("Loop", ["rounds", "begin", "obs"], ["action"], body=body)
    return model([loop], {"rounds": np.int64(2**63 - 1), "begin": np.True_}, **settings)


def hog(gigabytes, **settings):
    """An action of so many gigabytes, made of the first observed number."""
    nodes = [
        helper.make_node("Slice", ["obs", "begin", "end", "axis"], ["first"]),
        helper.make_node("Expand", ["first", "shape"], ["action"]),
    ]
    constants = {"begin": [0], "end": [1], "axis": [1], "shape": [gigabytes, 250_000_000]}
    return model(nodes, constants, **settings)


def external(location, size=16):
    """Bytes of another file, as the action."""
    stolen = TensorProto(name="stolen", data_type=UINT8, dims=[size], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", str(size))):
        stolen.external_data.add(key=key, value=value)
    return model([helper.make_node("Identity", ["stolen"], ["action"])], {"stolen": stolen}, kind=UINT8)


def long(numbers):
    """An action of so many numbers."""
    return model([helper.make_node("Identity", ["numbers"], ["action"])], {"numbers": np.zeros(numbers, np.float32)})
