"""The N+1 network G, and input detectors."""

from goodnet.guard.form import guard_spec, refusal_class
from goodnet.guard.goodnet import guard

__all__ = ["guard", "guard_spec", "refusal_class"]
