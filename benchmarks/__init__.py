"""Evaluate agents on environments and report the results."""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

OLD_SPELLINGS = {
    "run": "suites/run.py",
    "figure": "figures/command.py",
    "report.__main__": "report/command.py",
    "search.__main__": "search/command.py",
    "speed.__main__": "speed/command.py",
    "speed_cuda": "speed/cuda.py",
    "speed_memory": "speed/memory.py",
    "operations": "speed/operations.py",
}
"""Files by their former module names, which stored manifests still have in `python -m benchmarks.NAME`."""


class _OldSpellings:
    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        package, _, old = name.partition(".")
        file = OLD_SPELLINGS.get(old) if package == __name__ else None
        return spec_from_file_location(name, Path(__file__).parent / file) if file else None


sys.meta_path.append(_OldSpellings)  # last, so that it is asked only for modules found nowhere else
