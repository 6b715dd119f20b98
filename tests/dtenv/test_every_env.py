"""Reproducibility of every environment across processes."""

import os
import subprocess
import sys

from cases_env import digest
from paths import HELPERS, ROOT


def test_another_process_plays_the_same_episodes():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HELPERS)]), "PYTHONHASHSEED": "77"}
    code = "import cases_env; print(cases_env.digest())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == digest(), done.stderr
