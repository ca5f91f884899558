"""What a network wants done to its images, found on clean labelled ones.

Of what networks usually take, the preprocessing is chosen with which the network is right most
often. A choice is made only where it is safe:

- Better than chance: right significantly more often than the most common label (exact binomial
  test, p < 0.01).
- Right as a trained network is: not significantly less often than halfway from that constant answer
  to all images (p < 0.05). Networks in use lie well above, one that gets its pixels wrongly mostly
  lies far below.
- Better than the others: a preprocessing whose answers differ on more than a fifth of the images
  must be worse: by the exact sign test on the images that only one of the two has right (p < 0.2,
  which is as much as some tens of images tell), or by the signed-rank test on the cross-entropies
  of all images (p < 0.05). Of two that answer more alike than that either may be taken, the
  accuracy is about the same. Of two that are right equally often, the one with the lower mean
  cross-entropy is taken: a network was trained for that.
- Not the images' own fault: where the network is right significantly more often (p < 0.05) with
  height and width or light and dark swapped, it is the images that have to change.

Grey pictures are a network's own or have lost their colours, which cannot be told: where a network
takes colours, it has to be right on them nine tenths of the way up, and is said to be.

Whatever is hopeless on 16 images or on 64 (sign test, p < 0.005) is not tried on the others, and
nothing more is tried once all answers are right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from goodnet.errors import InvalidInput, NoNumbers
from goodnet.imagesets.classes import check_order
from goodnet.network.answers import NO_ANSWER, answers
from goodnet.preprocessing import IDENTITY, PRESETS, RAW, Preprocessing, Scale, usual_scales

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodnet.formats.spec import NetworkSpec
    from goodnet.imagesets import ImageSet, PixelRange
    from goodnet.network.network import Network
    from goodnet.types import Integers

_SIGNIFICANT, _BETTER, _WORSE, _HOPELESS = 0.01, 0.05, 0.2, 0.005
_ROUNDS = (16, 64)
_ALIKE = 0.2
_SHARE, _SHARE_OF_GREY = 0.5, 0.9
_LARGE = 100  # what pixels 0..255 span that are fed as they are
_SHOWN = 4  # of what was tried, in a message
_BLOCK_BYTES = 64 * 2**20
# The cross-entropy of outputs that are NaN or infinite.
_WORST = 1e30
# Factors of a first layer that takes pixels 0..255, and of one that takes 0..1.
_OF_BYTES, _OF_UNITS = 0.05, 0.2


@dataclass(frozen=True)
class Calibration:
    """The preprocessing that works, and what was measured to find it.

    Attributes:
        preprocessing: Of images 0..1.
        range: Of the pixels as they are stored.
        accuracies: For each that was tried, as text: images answered right, images tried.
        grey: Whether the network takes colours and all the images are grey.
    """

    preprocessing: Preprocessing
    range: PixelRange
    accuracies: Mapping[str, tuple[int, int]]
    grey: bool = False

    @property
    def scale(self) -> Scale | None:
        """What stored pixels are multiplied by; None where more is done to them."""
        return Scale.of(self.preprocessing, self.range)

    def sentence(self) -> str:
        """One line for the user: what is done, and the evidence."""
        name = _Reading(self.preprocessing).name(self.range)
        grey = "; all are grey, which says little of a network for colours" if self.grey else ""
        done = made_of(self.preprocessing, self.range)
        return f"{done} ({_evidence(self.accuracies, name)}){grey}"


def recognised(answers: Integers, labels: Integers) -> bool:
    """Whether a network is right on clean images as a trained one should be, shape (images,)."""
    tried = _Tried(answers, labels, np.zeros(len(labels)))
    return _Bounds.of(labels, _SHARE).recognised(tried)


def made_of(preprocessing: Preprocessing, stored: PixelRange) -> str:
    """What is done to pixels, for the user: "pixels 0..255 are divided by 255"."""
    scale = Scale.of(preprocessing, stored)
    if scale is None and preprocessing.order == "BGR":
        scale = Scale.of(preprocessing.reversed, stored)
    if scale is None:
        return f"pixels {stored} become {preprocessing.text}, where x is a pixel from 0 to 255"
    factor = scale.factor
    how = f"divided by {1 / factor}" if factor < 1 else f"multiplied by {factor}"
    order = " with their channels reversed" if preprocessing.order == "BGR" else ""
    return f"pixels {stored} are {'fed as they are' if scale == RAW else how}{order}"


_Fault = Literal["", "height and width swapped", "light and dark swapped"]


@dataclass(frozen=True)
class _Reading:
    """A preprocessing, and what may be wrong with the images themselves."""

    preprocessing: Preprocessing
    fault: _Fault = ""

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a network without preprocessing is given for images 0..1."""
        pixels = torch.from_numpy(images)
        if self.fault == "height and width swapped":
            pixels = pixels.transpose(2, 3)
        elif self.fault:
            pixels = 1 - pixels
        return np.ascontiguousarray(self.preprocessing(pixels).numpy())

    def name(self, stored: PixelRange) -> str:
        """As shown: a usual scale of stored pixels, else as `Preprocessing.text`."""
        fault = f" with {self.fault}" if self.fault else ""
        for wanted, order in (
            (self.preprocessing, ""),
            (self.preprocessing.reversed, " with channels reversed"),
        ):
            for scale in usual_scales(stored):
                if scale.preprocessing(stored) == wanted:
                    return f"{scale}{order}{fault}"
            for name, preset in PRESETS.items():
                if preset == wanted:
                    return f"{name}{order}{fault}"
        return f"{self.preprocessing.text}{fault}"


@dataclass(frozen=True)
class _Tried:
    """Answers to a sample of the set, its labels, and cross-entropies, shape (images,) each."""

    answers: Integers
    labels: Integers
    losses: NDArray[np.float64]

    @property
    def right(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.answers == self.labels
        return found

    @property
    def counts(self) -> tuple[int, int]:
        return int(self.right.sum()), len(self.labels)

    def beats(self, other: _Tried, significance: float) -> bool:
        """Whether this is right significantly more often on the same images."""
        mine, theirs = (int((a.right & ~b.right).sum()) for a, b in ((self, other), (other, self)))
        return mine > theirs and _p_value(mine, mine + theirs, 0.5) < significance

    def fits_better(self, other: _Tried, significance: float) -> bool:
        """Whether the cross-entropies of this are significantly lower on the same images."""
        from scipy.stats import wilcoxon

        lower = other.losses - self.losses
        return bool(lower.any()) and bool(
            wilcoxon(lower, alternative="greater").pvalue < significance
        )

    def differs(self, other: _Tried) -> bool:
        return bool((self.answers != other.answers).mean() > _ALIKE)


class _Trial:
    """What was tried on one set.

    Attributes:
        last: Every reading on the most images that it was tried on.
        found: Those that are not hopeless, on the whole sample.
        grey: Whether all images are grey, in three channels.
    """

    def __init__(self, network: Network, images: ImageSet, count: int) -> None:
        self._network, self._images = network, images
        whole = min(count, len(images))
        self._rounds = {
            size: dict[_Reading, _Tried]() for size in (*_ROUNDS, whole) if size <= whole
        }
        self.last: dict[_Reading, _Tried] = {}
        self.found = self._rounds[whole]
        self.grey = images.shape[0] == 3

    def add(self, readings: Sequence[_Reading]) -> None:
        """Try more readings: all on a few images, those that are not hopeless on more."""
        for size, tried in self._rounds.items():
            tried |= self._answers(readings, size)
            self.last |= tried
            leader = max(tried.values(), key=lambda each: each.counts[0])
            readings = [key for key in readings if not leader.beats(tried[key], _HOPELESS)]

    @property
    def accuracies(self) -> dict[_Reading, tuple[int, int]]:
        """Images answered right and images tried, by reading; first what has most right."""
        counts = {key: each.counts for key, each in self.last.items()}
        return dict(sorted(counts.items(), key=lambda item: -item[1][0] / item[1][1]))

    def best(self, *, faulty: bool) -> _Reading:
        """What is right most often, of those that are equal with the lowest loss."""
        kept = {key: each for key, each in self.found.items() if bool(key.fault) == faulty}

        def rank(key: _Reading) -> tuple[int, float]:
            right, total = self.found[key].counts
            if right < total:
                return right, -float(self.found[key].losses.mean())
            # Where all are right, the loss is the lower the larger the pixels. A network that was
            # trained on small ones is often right on large ones, too, hardly ever the other way.
            low, high = key.preprocessing.ends
            return right, float(high - low < _LARGE)

        return max(kept or self.found, key=rank)

    def _answers(self, readings: Sequence[_Reading], count: int) -> dict[_Reading, _Tried]:
        if not readings:
            return {}
        outputs: dict[_Reading, list[Tensor]] = {key: [] for key in readings}
        labels: list[Integers] = []
        size = max(1, _BLOCK_BYTES // (4 * math.prod(self._images.shape)))
        for block in self._images.sample_blocks(count, size):
            labels.append(block.labels)
            self.grey = self.grey and bool((block.images == block.images[:, :1]).all())
            for key, found in outputs.items():
                found.append(self._network.outputs(key(block.images)))
        truth = np.concatenate(labels)
        return {key: _tried(torch.cat(found), truth) for key, found in outputs.items()}


def _tried(outputs: Tensor, labels: Integers) -> _Tried:
    """What outputs (images, classes), probabilities or not, amount to."""
    shares = bool((outputs >= 0).all()) and bool(((outputs.sum(1) - 1).abs() < 1e-3).all())
    logits = outputs.clamp(min=1e-12).log() if shares else outputs
    known = (labels >= 0) & (labels < outputs.shape[1])
    truth = torch.from_numpy(np.where(known, labels, 0))
    losses = functional.cross_entropy(logits, truth, reduction="none").double()
    losses = losses.nan_to_num(nan=_WORST, posinf=_WORST)
    return _Tried(answers(outputs).numpy(), labels, np.where(known, losses.numpy(), 0))


def calibrate(network: Network, images: ImageSet, *, count: int = 512) -> Calibration:
    """Find the preprocessing with which a network recognises clean, labelled images.

    What networks usually take is tried and, where that falls short, also images with their channels
    reversed, with height and width swapped and with light and dark swapped. What a network that
    begins with a rescaling or normalisation says of its pixels counts first: it is taken unless
    another is right significantly more often. Where several have all images right, pixels 0..1 are
    taken before 0..255. The rules are at the top of this module.

    Args:
        network: The network; a preprocessing that it has is tried first.
        images: The clean labelled set.
        count: How many images to try, spread evenly over the set.

    Returns:
        The preprocessing and the accuracy of all that was tried.

    Raises:
        InvalidInput: If nothing works, two that are not alike do, the images themselves are the
            wrong way round, another order of the classes fits better, or the sample is too small or
            too uniform to tell.
        NoNumbers: If outputs are NaN or infinite on half of the images with all that is tried.
    """
    from goodnet.imagesets import check_fits

    if not images.labelled:
        raise InvalidInput(
            f"{images.name}: without labels the scale of the pixels cannot be found; "
            f"pass {_flags(images.range)}"
        )
    shape, classes = network.input_shape, network.num_classes
    check_fits(images, shape=shape, num_classes=classes, labels=False)
    trial = _Trial(network.with_preprocessing(IDENTITY), images, count)
    first, others = _readings(network, images)
    trial.add(first)
    if not any(each.right.all() for each in trial.found.values()):
        trial.add(others)
    _check_numbers(trial, images)
    plain = (each for key, each in trial.found.items() if not key.fault)
    told = [each.answers for each in plain if (each.answers != NO_ANSWER).all()]
    if told:
        check_order(images, next(iter(trial.found.values())).labels, told, num_classes=classes)
    said = first[0] if _says(network) else None
    return _choose(trial, images, said if said in trial.found else None)


def _check_numbers(trial: _Trial, images: ImageSet) -> None:
    """Refuse a network that gives half of the images no answer whatever is done to them."""
    silent = [(int((each.answers == NO_ANSWER).sum()), each) for each in trial.last.values()]
    bad, best = min(silent, key=lambda pair: pair[0] / len(pair[1].labels))
    total = len(best.labels)
    if 2 * bad >= total:
        raise NoNumbers(
            f"{images.name}: the network answers NaN or infinity on {bad} of {total} images "
            "whatever is done to their pixels; it cannot be judged"
        )


def _readings(network: Network, images: ImageSet) -> tuple[list[_Reading], list[_Reading]]:
    """What is tried first, and all else that may be."""
    channels, height, width = images.shape
    usual = [scale.preprocessing(images.range) for scale in usual_scales(images.range)]
    wanted = [*usual, *(each for each in PRESETS.values() if takes(each, channels))]
    if (said := said_by_file(network.spec)) is not None:
        usual, wanted = [said], [said, *wanted]
    if network.preprocessing != IDENTITY:
        usual, wanted = ([network.preprocessing, *each] for each in (usual, wanted))
    orders = [*wanted, *(each.reversed for each in wanted if channels == 3)]
    # Of two that are equally good, the one that says less of each channel comes first.
    orders.sort(key=lambda each: isinstance(each.mean, tuple))
    readings = [_Reading(each) for each in orders]
    if height == width:
        readings += [_Reading(each, "height and width swapped") for each in orders]
    readings += [_Reading(each, "light and dark swapped") for each in wanted]
    first = [_Reading(each) for each in usual]
    return first, [each for each in dict.fromkeys(readings) if each not in first]


def takes(preset: Preprocessing, channels: int) -> bool:
    """Whether a usual preprocessing is one of networks for so many channels."""
    if preset == PRESETS["mnist"]:
        return channels == 1
    return channels == 3 or (preset.order == "RGB" and not isinstance(preset.mean, tuple))


def said_by_file(spec: NetworkSpec) -> Preprocessing | None:
    """The range of pixels that a network's first layer is made for; None where it is silent."""
    readers = spec.consumers(spec.layers[0].name)
    layer = readers[0] if len(readers) == 1 else None
    if layer is None or layer.op not in ("rescale", "normalize"):
        return None
    if layer.op == "rescale":
        factors = np.abs(np.asarray(layer.attributes["scale"], dtype=np.float64))
    else:
        factors = 1 / np.sqrt(np.maximum(spec.arrays[f"{layer.name}/variance"], 1e-12))
    factor = float(np.mean(factors))
    if factor <= _OF_BYTES:
        return PRESETS["x"]
    return IDENTITY if factor >= _OF_UNITS else None


def _says(network: Network) -> bool:
    """Whether something other than the images says what a network wants."""
    return network.preprocessing != IDENTITY or said_by_file(network.spec) is not None


def _choose(trial: _Trial, images: ImageSet, said: _Reading | None) -> Calibration:
    """What is right most often, or what is said by the file where nothing is better."""
    key, stored = trial.best(faulty=False), images.range
    if said is not None and not trial.found[key].beats(trial.found[said], _BETTER):
        key = said
    best, suspect = trial.found[key], trial.best(faulty=True)
    accuracies = {each.name(stored): counts for each, counts in trial.accuracies.items()}
    evidence = _evidence(accuracies, key.name(stored))
    bounds = _Bounds.of(best.labels, _SHARE_OF_GREY if trial.grey else _SHARE)
    rivals = (x for x in trial.found if not x.fault and _alike(trial, key, x))
    rival = None if key == said else next(rivals, None)
    if not bounds.tells:
        problem = (
            "too few images or labels to find the scale of the pixels (tried "
            f"{bounds.total}, {bounds.common} of them with the same label); pass {_flags(stored)}"
        )
    elif _is_fault(trial, key, suspect, bounds):
        problem = f"{_fault(suspect, images)} ({evidence})"
    elif not bounds.recognised(best):
        problem = (
            f"the network does not recognise these images as a trained one should ({evidence}, "
            f"where one constant answer gets {bounds.common} and {bounds.expected} are expected)"
            f"{'; all the pictures are grey, it may want colours' if trial.grey else ''}; check "
            "that images, labels and network belong together, or pass "
            f"{_flags(stored)}, to go on"
        )
    elif rival is not None:
        problem = (
            "two ways to feed these images fit alike, though the network answers differently "
            f"({evidence}); give more images, or pass --preprocess {key.preprocessing.text} or "
            f"--preprocess {rival.preprocessing.text}"
        )
    else:
        return Calibration(key.preprocessing, stored, accuracies, trial.grey)
    raise InvalidInput(f"{images.name}: {problem}")


@dataclass(frozen=True)
class _Bounds:
    """How many of the images the constant answer gets, and a trained network should."""

    total: int
    common: int
    expected: int

    @classmethod
    def of(cls, labels: Integers, share: float) -> _Bounds:
        total, common = len(labels), int(np.unique(labels, return_counts=True)[1].max())
        return cls(total, common, math.ceil(common + share * (total - common)))

    @property
    def tells(self) -> bool:
        """Whether there are enough images to tell a trained network from the constant answer."""
        return _p_value(self.total, self.total, self.common / self.total) < _SIGNIFICANT

    def recognised(self, tried: _Tried) -> bool:
        """Whether a network is right as one should be that was trained for such images."""
        right, total = tried.counts
        wrong = _p_value(total - right, total, 1 - self.expected / total)
        by_chance = _p_value(right, total, self.common / total)
        return by_chance < _SIGNIFICANT and (right >= self.expected or wrong >= _BETTER)


def _alike(trial: _Trial, key: _Reading, rival: _Reading) -> bool:
    """Whether a rival is as good, and yet not the same."""
    best, other = trial.found[key], trial.found[rival]
    better = best.beats(other, _WORSE) or best.fits_better(other, _BETTER)
    return best.differs(other) and not better


def _is_fault(trial: _Trial, key: _Reading, suspect: _Reading, bounds: _Bounds) -> bool:
    best, other = trial.found[key], trial.found[suspect]
    good = other.counts[0] >= bounds.expected and other.beats(best, _BETTER)
    return bool(suspect.fault) and good


def _fault(reading: _Reading, images: ImageSet) -> str:
    """What is wrong with images, and what to do."""
    if reading.fault == "light and dark swapped":
        return "light and dark of the images seem to be swapped; subtract the pixels from white"
    turns = ("HW", "WH") if "HW" in images.layout else ("WH", "HW")
    turned = images.layout.replace(*turns)
    return f"height and width of the images seem to be swapped; pass --layout {turned}"


def _p_value(successes: int, trials: int, share: float) -> float:
    """Of so many successes or more, by the exact binomial test."""
    from scipy.stats import binomtest

    return float(binomtest(successes, trials, share, alternative="greater").pvalue)


def _evidence(accuracies: Mapping[str, tuple[int, int]], first: str = "raw") -> str:
    """For example "1/255 56/60 right, raw 2/60"."""
    texts = sorted(accuracies, key=lambda text: text != first)
    parts = [f"{text} {accuracies[text][0]}/{accuracies[text][1]}" for text in texts]
    shown = [f"{parts[0]} right", *parts[1:_SHOWN]]
    return ", ".join(shown) + (
        f" and {len(parts) - _SHOWN} more no better" if len(parts) > _SHOWN else ""
    )


def _flags(stored: PixelRange) -> str:
    scales = " or ".join(f"--scale {scale}" for scale in usual_scales(stored))
    return f"{scales}, or another --preprocess"
