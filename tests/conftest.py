"""The same verdict on every run: Hypothesis draws the same examples, and compiling a kernel is no time-out."""

from hypothesis import settings

settings.register_profile("dtenv", deadline=None, derandomize=True)
settings.load_profile("dtenv")
