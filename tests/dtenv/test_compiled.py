"""Kernels where nothing can be cached."""

import subprocess
import sys

from paths import ROOT


def test_without_a_folder_for_the_cache_kernels_run_uncached_with_one_warning():
    """As in an installation, and a home, that cannot be written to."""
    code = """
import warnings
from numba.core.caching import CacheImpl

for impl in CacheImpl.__subclasses__():
    impl._locator_classes = []
CacheImpl._locator_classes = []
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from dtenv.physics import aggregation, barrier, energy, utility  # noqa: F401
    from dtenv.compiled import compiled

    assert compiled(lambda x: x + 1.0)(1.0) == 2.0
told = [str(one.message) for one in caught if "kernels are compiled again" in str(one.message)]
assert len(told) == 1 and "NUMBA_CACHE_DIR" in told[0], told
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
