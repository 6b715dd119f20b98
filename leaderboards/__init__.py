"""Leaderboards of submitted policies on hidden instances, with every result reproducible."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime would record its use and upload it
