"""Open an image classifier without executing its file, find its backdoor, repair and guard it.

Scores: higher = more suspicious. Proportions are in 0..1 and carry a 95 % interval.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goodnet.difference import diff as diff
    from goodnet.errors import GoodnetError as GoodnetError
    from goodnet.evaluation import evaluate as evaluate
    from goodnet.formats import load_network
    from goodnet.formats import read_spec as read_spec
    from goodnet.formats.torch import wrap as wrap
    from goodnet.guard.confidence import Confidence as Confidence
    from goodnet.guard.goodnet import GoodNet as GoodNet
    from goodnet.guard.strip import Strip as Strip
    from goodnet.imagesets import images_from_arrays
    from goodnet.imagesets import load_images as load_images
    from goodnet.network import Network as Network
    from goodnet.preprocessing import Preprocessing as Preprocessing
    from goodnet.repair import Cure as Cure
    from goodnet.repair import CureResult as CureResult
    from goodnet.repair import Erase as Erase
    from goodnet.repair import FinePrune as FinePrune
    from goodnet.repair import FineTune as FineTune
    from goodnet.repair import Prune as Prune
    from goodnet.repair import RepairResult as RepairResult
    from goodnet.repair import Sparsify as Sparsify
    from goodnet.repair import Unlearn as Unlearn
    from goodnet.repair import prune_curve as prune_curve
    from goodnet.repair import silence_channels as silence_channels
    from goodnet.repair import trace_backdoor as trace_backdoor
    from goodnet.scan import Scan as Scan
    from goodnet.scan import ScanResult as ScanResult
    from goodnet.training import TrainingConfig as TrainingConfig

    images, load = images_from_arrays, load_network

# Public name -> module. Imported when first used: torch takes seconds; reading a file needs none.
_HOMES = {
    "Confidence": "guard.confidence",
    "Cure": "repair",
    "CureResult": "repair",
    "Erase": "repair",
    "FinePrune": "repair",
    "FineTune": "repair",
    "GoodNet": "guard.goodnet",
    "GoodnetError": "errors",
    "Network": "network",
    "Preprocessing": "preprocessing",
    "Prune": "repair",
    "RepairResult": "repair",
    "Scan": "scan",
    "ScanResult": "scan",
    "Sparsify": "repair",
    "Strip": "guard.strip",
    "TrainingConfig": "training",
    "Unlearn": "repair",
    "diff": "difference",
    "evaluate": "evaluation",
    "images": "imagesets",
    "load": "formats",
    "load_images": "imagesets",
    "prune_curve": "repair",
    "read_spec": "formats",
    "silence_channels": "repair",
    "trace_backdoor": "repair",
    "wrap": "formats.torch",
}
# Those with another name in their own module.
_THERE = {"images": "images_from_arrays", "load": "load_network"}

__all__ = sorted([*_HOMES, "__version__"])


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("goodnet")
    if name in _HOMES:
        return getattr(import_module(f"goodnet.{_HOMES[name]}"), _THERE.get(name, name))
    raise AttributeError(f"module 'goodnet' has no attribute {name!r}")
