"""The same verdict on every run: Hypothesis draws the same examples, and compiling a kernel is no time-out."""

import os

from hypothesis import settings

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # tests of exports import ONNX Runtime, which would tell of itself

settings.register_profile("dtenv", deadline=None, derandomize=True)
settings.load_profile("dtenv")
