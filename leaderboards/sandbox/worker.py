"""Child process: confines itself, loads a model and answers. Run by path; imports only modules of this folder."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort

sys.path.insert(0, str(Path(__file__).parent))
from confine import confine
from wire import ACTION, ERROR, HEADER, INPUTS, LAYERS, LOADED, MODEL, array_bytes, read_inputs

sys.path.pop(0)

Policy = Callable[[dict[str, np.ndarray]], np.ndarray]


def load_session(model: bytes) -> Policy:
    """Load a model with ONNX Runtime: one CPU thread, deterministic.

    Raises ValueError without an output "action", and ONNX Runtime's errors for an invalid model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # fatal only: other errors are raised
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    if "action" not in outputs:
        raise ValueError(f'the model has outputs {outputs}, none is "action"')
    return lambda inputs: session.run(["action"], inputs)[0]


def _receive(pipe: int, kind: bytes) -> memoryview:
    """Return the next frame's content; exit the process if the parent closed the pipe."""

    def read(count: int) -> memoryview:
        content = bytearray(count)
        view, done = memoryview(content), 0
        while done < count:
            part = os.readv(pipe, [view[done:]])
            if part == 0:
                os._exit(0)
            done += part
        return view

    got, length = HEADER.unpack(read(HEADER.size))
    if got != kind:
        raise ValueError(f"expected a frame {kind!r}, got {got!r}")
    return read(length)


def _send(pipe: int, kind: bytes, content: bytes = b"") -> None:
    frame = memoryview(HEADER.pack(kind, len(content)) + content)
    while frame:
        frame = frame[os.write(pipe, frame) :]


def main(load: Callable[[bytes], Policy] = load_session) -> None:
    """Serve one model until the parent closes the pipe or the model fails; `load` builds a policy from bytes."""
    requests, replies = 0, os.dup(1)
    os.dup2(2, 1)  # keep the output of libraries out of the replies
    os.set_blocking(2, False)  # and never block on it
    folder = tempfile.mkdtemp()
    os.chdir(folder)  # ONNX Runtime looks for external data in the working directory
    os.rmdir(folder)
    layers = confine(memory_bytes=int(sys.argv[1]), cpu_seconds=int(sys.argv[2]))
    _send(replies, LAYERS, "\n".join(f"{name}: {state}" for name, state in layers.items()).encode())
    try:
        policy = load(bytes(_receive(requests, MODEL)))
        _send(replies, LOADED)
        while True:
            _send(replies, ACTION, array_bytes(policy(read_inputs(_receive(requests, INPUTS)))))
    except Exception as error:
        _send(replies, ERROR, f"{type(error).__name__}: {error}"[:2000].encode(errors="replace")[:4000])
        os._exit(1)


if __name__ == "__main__":
    main()
