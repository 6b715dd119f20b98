"""Jobs in a module of their own, which worker processes can import."""

import os
import signal
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks import workers


@dataclass(frozen=True)
class Square:
    """A toy: squares a number, and says how often it was begun."""

    number: int
    folder: Path
    kills: int = 0
    """attempts at which it kills its process"""
    waits: bool = False
    """for a file "go\""""
    seconds: float = 0.0
    raises: bool = False

    @property
    def name(self):
        return f"square {self.number}"

    def run(self):
        begun = len(list(self.folder.glob(f"{self.number}-*")))
        (self.folder / f"{self.number}-{begun}").write_text(f"{os.getpid()} {os.getppid()}")
        if begun < self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.raises:
            raise ZeroDivisionError("on purpose")
        time.sleep(self.seconds)
        while self.waits and not (self.folder / "go").exists():
            time.sleep(0.02)
        return self.number**2, os.environ["OMP_NUM_THREADS"]

    def begun(self):
        return len(list(self.folder.glob(f"{self.number}-*")))


@dataclass(frozen=True)
class Found:
    """A toy: says where a worker finds the packages, and what was sent with them."""

    name: str = "found"

    def run(self):
        folders = [Path(find_spec(package).origin).parent for package in workers.PACKAGES]
        return [str(folder) for folder in folders], [
            str(file) for f in folders for file in f.rglob("__pycache__/*.nb?")
        ]
