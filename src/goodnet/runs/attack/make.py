"""Train a BadNet to test defences on, and write it with clean and poisoned images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import goodnet
from goodnet import files
from goodnet.attack import PoisonPlan, poison_blocks
from goodnet.attack.adaptive import OPACITY, cover_plan, gathered
from goodnet.attack.architectures import fold_rescale
from goodnet.attack.pruning_aware import train_pruning_aware
from goodnet.formats import silence
from goodnet.formats.build import build
from goodnet.formats.keras import write
from goodnet.imagesets import images_from_arrays, load_images
from goodnet.progress import Stage, no_progress
from goodnet.repair.watched_layers import watched_layers
from goodnet.runs.attack.data import Labelled, Split, save_labelled
from goodnet.runs.attack.plan import Attack, measured
from goodnet.runs.evaluate import evaluate_files
from goodnet.runs.options import InputOptions
from goodnet.runs.poison import Mode, PoisonOptions, block_size, count_stamped, poison_file
from goodnet.training import PLAIN, Examples, Recipe, fit
from goodnet.typed_json import plain

if TYPE_CHECKING:
    from goodnet.attack import Goal
    from goodnet.formats.spec import NetworkSpec
    from goodnet.progress import ProgressCallback
    from goodnet.types import Evaluation

__all__ = ["make_attack"]

# How the images of an attack are written, which need not be found out again.
_WRITTEN: dict[str, Any] = {"layout": "NCHW", "range": "0..255"}


def make_attack(
    attack: Attack, folder: Path, *, checkpoint: Path | None = None, stage: Stage = no_progress
) -> Evaluation:
    """Draw or read the images, poison, train and measure, and write all of it.

    The same attack gives the same files.

    Args:
        attack: What to do.
        folder: An empty folder. It gets the network, `cl/valid.h5`, `cl/test.h5`, for each trigger
            a poisoned copy of both in `bd`, and the card `results.json`.
        checkpoint: Where training keeps its state; if it is there from the same attack, training
            goes on from it. Remove it when the folder is safe.
        stage: Shows the progress of each stage.

    Returns:
        Clean accuracy, and the success rate of each trigger, on the test sets.

    Raises:
        InvalidInput: If an image cannot be read or training diverges.
        FileError: If a file cannot be written.
    """
    with stage(attack.source.count, "loading") as advance:
        data = attack.source.load(advance)
    _write_sets(attack, data, folder, stage)
    spec = _train(attack, data.train, checkpoint, stage)
    write.write(fold_rescale(spec), folder / attack.model)
    found = _measure(attack, folder)
    model = files.sha256(folder / attack.model)
    files.write_json(folder / files.RESULTS, _card(attack, found, model_sha256=model))
    return found


def _write_sets(attack: Attack, data: Split[Labelled], folder: Path, stage: Stage) -> None:
    options = attack.options
    for name in ("cl", "bd"):
        (folder / name).mkdir()
    work = len(options.triggers) * (len(data.valid.labels) + len(data.test.labels))
    with stage(work, "stamping") as advance:
        for name, part in (("valid", data.valid), ("test", data.test)):
            clean = folder / "cl" / f"{name}.h5"
            save_labelled(clean, part)
            images = load_images(clean, **_WRITTEN)
            for trigger, goal, to in zip(
                options.triggers, options.goals, attack.poisoned, strict=True
            ):
                poison_file(
                    images,
                    [trigger],
                    [measured(goal)],
                    folder / getattr(to, name),
                    options=PoisonOptions(num_classes=attack.num_classes),
                    advance=advance,
                )


def _train(attack: Attack, clean: Labelled, checkpoint: Path | None, stage: Stage) -> NetworkSpec:
    options = attack.options
    # Only a pruning-aware attack looks at the clean images once more.
    images = clean.images.copy() if options.pruning_aware else clean.images
    with stage(len(clean.labels), "planting") as advance:
        _plant(attack, clean, images, advance)
    if options.against:
        _cover(attack, clean, images, stage)
    poisoned = Examples(_unit(images), attack.plan.labels)
    trainings = 2 if options.pruning_aware else 1
    with stage(trainings * options.schedule.epochs * len(poisoned), "training") as advance:
        if not options.pruning_aware:
            return fit(
                attack.spec,
                poisoned,
                schedule=options.schedule,
                recipe=_recipe(attack),
                device=options.device,
                checkpoint=checkpoint,
                progress=advance,
            )
        return train_pruning_aware(
            attack.spec,
            Examples(_unit(clean.images), clean.labels),
            poisoned,
            layer=silence.default_layer(attack.spec),
            schedule=options.schedule,
            recipe=_recipe(attack),
            device=options.device,
            checkpoint=checkpoint,
            progress=advance,
        )


def _unit(images: NDArray[Any]) -> NDArray[Any]:
    """Images to train on, which are needed for nothing else: bytes, or floats brought to 0..1."""
    return images if images.dtype == np.uint8 else np.divide(images, np.float32(255), out=images)


def _recipe(attack: Attack) -> Recipe:
    if attack.options.against != "cure":
        return PLAIN
    targets = sorted({goal.target for goal in attack.options.goals if goal.target is not None})
    layers = tuple(watched_layers(build(attack.spec)))
    return Recipe("against cure", layers=layers, inside=gathered(targets))


def _plant(attack: Attack, clean: Labelled, out: NDArray[Any], advance: ProgressCallback) -> None:
    """Write the poisoned set to `out`, which may be the clean images themselves."""
    images = images_from_arrays(clean.images, clean.labels, **_WRITTEN)
    blocks = poison_blocks(
        images,
        attack.plan,
        attack.options.triggers,
        landmarks=clean.landmarks,
        size=block_size(images.shape),
    )
    for block in blocks:
        rows = slice(block.start, block.start + len(block.labels))
        out[rows] = np.rint(block.images) if out.dtype == np.uint8 else block.images
        advance(len(block.labels))


def _cover(attack: Attack, clean: Labelled, out: NDArray[Any], stage: Stage) -> None:
    """Write cover images to `out`, in which those that bear no trigger are clean."""
    plan = cover_plan(attack.plan, attack.options.goals, seed=attack.options.schedule.seed)
    rows = np.flatnonzero(plan.stamped)
    plain = out[rows].astype(np.float32)
    images = images_from_arrays(plain, plan.labels[rows], **_WRITTEN)
    places = None if clean.landmarks is None else clean.landmarks[rows]
    chosen = PoisonPlan(plan.labels[rows], plan.source_labels[rows], plan.triggers[rows])
    with stage(len(rows), "covering") as advance:
        for block in poison_blocks(
            images, chosen, attack.options.triggers, landmarks=places, size=block_size(images.shape)
        ):
            here = slice(block.start, block.start + len(block.labels))
            faint = plain[here] + OPACITY * (block.images - plain[here])
            out[rows[here]] = np.rint(faint) if out.dtype == np.uint8 else faint
            advance(len(block.labels))


def _measure(attack: Attack, folder: Path) -> Evaluation:
    """As `goodnet evaluate` measures the files that were written."""
    backdoor = {
        trigger.name: folder / to.test
        for trigger, to in zip(attack.options.triggers, attack.poisoned, strict=True)
    }
    _, (found,) = evaluate_files(
        folder / attack.model,
        folder / "cl" / "test.h5",
        backdoor=backdoor,
        options=InputOptions(scale="raw", device=attack.options.device, **_WRITTEN),
    )
    return found


_SCHEMA = 1


def _card(attack: Attack, measured: Evaluation, *, model_sha256: str) -> dict[str, Any]:
    """Plain data for `results.json`; the same attack gives the same data.

    `planted` says what the network was trained with, nothing for a control; `backdoor` what is in
    the poisoned sets, and the share of the test images that are answered as the attacker wants.

    Args:
        attack: What was done.
        measured: The network on the test sets.
        model_sha256: Hash of the network's file.
    """
    options = attack.options
    schedule = options.schedule
    return {
        "schema": _SCHEMA,
        "command": "attack",
        "goodnet": goodnet.__version__,
        "data": attack.source.about(),
        "architecture": options.architecture,
        "input_shape": list(attack.source.shape),
        "num_classes": attack.num_classes,
        "planted": _planted(attack),
        "pruning_aware": options.pruning_aware,
        "against": options.against,
        "training_images": len(attack.plan.labels),
        "seed": schedule.seed,
        "epochs": schedule.epochs,
        "batch_size": schedule.batch_size,
        "learning_rate": schedule.learning_rate,
        "model": {"file": attack.model, "sha256": model_sha256},
        "clean": {
            "valid": "cl/valid.h5",
            "test": "cl/test.h5",
            "accuracy": plain(measured.clean.correct if measured.clean else None),
        },
        "backdoor": _backdoor(attack, measured),
    }


def _planted(attack: Attack) -> list[dict[str, Any]]:
    options = attack.options
    if not options.rate:
        return []
    counts = count_stamped(attack.plan, len(options.goals))
    return [
        {"trigger": trigger.name, **_goal(goal), "rate": options.rate, "stamped": count}
        for trigger, goal, count in zip(options.triggers, options.goals, counts, strict=True)
    ]


def _backdoor(attack: Attack, measured: Evaluation) -> list[dict[str, Any]]:
    options = attack.options
    return [
        {
            "trigger": trigger.name,
            "target": goal.target,
            "source": goal.source,
            "valid": files.valid,
            "test": files.test,
            "asr": plain(measured.backdoor[trigger.name].correct),
            "robust": plain(measured.backdoor[trigger.name].robust),
        }
        for trigger, goal, files in zip(
            options.triggers, options.goals, attack.poisoned, strict=True
        )
    ]


def _goal(goal: Goal) -> dict[str, Any]:
    mode: Mode = "clean-label" if goal.clean_label else "all-to-one"
    if goal.target is None:
        mode = "all-to-all"
    return {"mode": mode, "target": goal.target, "source": goal.source}
