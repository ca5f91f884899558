"""GoodNet opens an image classifier without running it, finds its backdoor, mends and guards it.

Scores: higher = more suspicious. Shares are in 0..1 and carry a 95 % interval.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goodnet import attack as attack
    from goodnet import repair as repair
    from goodnet import scan as scan
    from goodnet.errors import GoodnetError as GoodnetError
    from goodnet.evaluate import evaluate_network as evaluate_network
    from goodnet.formats import open_network as open_network
    from goodnet.formats import read_spec as read_spec
    from goodnet.formats.save import save_network as save_network
    from goodnet.formats.torch import wrap as wrap
    from goodnet.guard.form import refusal_class as refusal_class
    from goodnet.guard.goodnet import make_goodnet as make_goodnet
    from goodnet.images import find_scale as find_scale
    from goodnet.images import images_from_arrays as images_from_arrays
    from goodnet.images import open_images as open_images
    from goodnet.network import Network as Network
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

# Imported when first used: torch takes seconds; reading a file needs none.
_HOMES = {
    "Cure": "repair",
    "CureResult": "repair",
    "GoodnetError": "errors",
    "Network": "network",
    **dict.fromkeys(
        ("Erase", "FinePrune", "FineTune", "Prune", "RepairResult", "Sparsify", "Unlearn"), "repair"
    ),
    "Scan": "scan",
    "ScanResult": "scan",
    "evaluate_network": "evaluate",
    "TrainingConfig": "training",
    "find_scale": "images",
    "images_from_arrays": "images",
    "make_goodnet": "guard.goodnet",
    "open_images": "images",
    "open_network": "formats",
    "prune_curve": "repair",
    "read_spec": "formats",
    "refusal_class": "guard.form",
    "save_network": "formats.save",
    "silence_channels": "repair",
    "trace_backdoor": "repair",
    "wrap": "formats.torch",
}

_ROOMS = ("attack", "repair", "scan")

__all__ = sorted([*_HOMES, *_ROOMS, "__version__"])


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("goodnet")
    if name in _ROOMS:
        return import_module(f"goodnet.{name}")
    if name in _HOMES:
        return getattr(import_module(f"goodnet.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'goodnet' has no attribute {name!r}")
