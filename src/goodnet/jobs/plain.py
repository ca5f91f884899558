"""Shares, sets and names as plain data for `results.json` and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.jobs.prune.run import Opened
    from goodnet.types import Evaluation, Proportion

__all__ = ["about_inputs", "guarded_rates", "plain_rates", "plain_share"]


def about_inputs(opened: Opened) -> dict[str, Any]:
    """Names and hashes of the files of a job, and how many images each set has."""
    source = opened.inputs.network.spec.file
    return {
        "model": {"name": source.path.name, "sha256": source.sha256} if source else None,
        "clean": None if opened.inputs.invented else _about_images(opened.inputs.clean),
        "test": _about_images(opened.test) if opened.test else None,
        "backdoor": {name: _about_images(images) for name, images in opened.backdoor.items()},
    }


def _about_images(images: ImageSet) -> dict[str, Any]:
    return {"name": images.path.name, "sha256": images.sha256, "images": len(images)}


def plain_rates(evaluation: Evaluation) -> dict[str, Any]:
    """Clean accuracy and attack success."""
    found: dict[str, Any] = {
        "test": plain_share(evaluation.clean.correct) if evaluation.clean else None,
        "backdoor": {name: plain_share(r.correct) for name, r in evaluation.backdoor.items()},
    }
    robust = _known(evaluation, "robust")
    return found | ({"robust": robust} if robust else {})


def guarded_rates(evaluation: Evaluation) -> dict[str, Any]:
    """The same of a GoodNet, with what it refused."""
    clean = evaluation.clean
    return {
        **plain_rates(evaluation),
        "false_alarms": plain_share(clean.refused) if clean else None,
        "accepted_accuracy": plain_share(clean.accepted_correct) if clean else None,
        "detected": _known(evaluation, "refused"),
    }


def _known(evaluation: Evaluation, name: str) -> dict[str, Any]:
    values = {key: getattr(result, name) for key, result in evaluation.backdoor.items()}
    return {key: plain_share(value) for key, value in values.items() if value is not None}


def plain_share(share: Proportion | None) -> dict[str, Any] | None:
    """A share as plain data; None where it is not known."""
    return share.to_dict() if share else None
