"""What B, B' and G answer, image by image; B' and G as they are in their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from goodnet.errors import InvalidInput
from goodnet.evaluation import evaluated, predict_inside, predict_set
from goodnet.formats import load_network, read_spec
from goodnet.formats.format import file_suffix, goodnet_suffix, save_spec
from goodnet.guard.form import guard_spec, repaired_output
from goodnet.runs.opening import to_device
from goodnet.types import Evaluation, Integers

if TYPE_CHECKING:
    from pathlib import Path

    from goodnet.formats.spec import NetworkSpec
    from goodnet.network import Network
    from goodnet.runs.inputs import Inputs


@dataclass(frozen=True, eq=False)
class Predictions:
    """The class one network gives each image.

    Attributes:
        clean: Of `Inputs.judged`, shape (images,).
        backdoor: Of each poisoned set, shape (images,).
    """

    clean: Integers
    backdoor: Mapping[str, Integers]


@dataclass(frozen=True, eq=False)
class PairPredictions:
    """A network, its repaired copy, and the GoodNet of both on the same images.

    Attributes:
        inputs: The images.
        original: What B answers.
        repaired: What B' answers.
        goodnet: What G answers.
    """

    inputs: Inputs
    original: Predictions
    repaired: Predictions
    goodnet: Predictions

    @property
    def reject_class(self) -> int:
        """The class by which G says "backdoored"."""
        return self.inputs.network.num_classes

    @property
    def by_network(self) -> Mapping[str, Predictions]:
        """By the name of the network: "B", "B'", "G"."""
        return {"B": self.original, "B'": self.repaired, "G": self.goodnet}

    @cached_property
    def evaluations(self) -> tuple[Evaluation, Evaluation, Evaluation]:
        """B, B' and G on the test set and the poisoned sets."""
        first, second = (
            evaluation(self.inputs, found, name)
            for found, name in ((self.original, "B"), (self.repaired, "B'"))
        )
        good = evaluation(self.inputs, self.goodnet, "G", reject_class=self.reject_class)
        return first, second, good


@dataclass(frozen=True)
class Suspect:
    """A suspect network with its images; it may be repaired in several ways."""

    inputs: Inputs

    @cached_property
    def predictions(self) -> Predictions:
        """What B answers; found when first asked for, and once."""
        return predictions_of(self.inputs.network, self.inputs)

    @property
    def baseline(self) -> Evaluation:
        """B on the test set and the poisoned sets."""
        return evaluation(self.inputs, self.predictions, "B")

    def write(
        self, cured: NetworkSpec, folder: Path, *, model: str, goodnet: str = "goodnet"
    ) -> tuple[dict[str, str], PairPredictions]:
        """Write B' and G, open them again, and measure what was written.

        Args:
            cured: B'.
            folder: Where to.
            model: Name of the file of B', without its suffix.
            goodnet: Name of the file of G, without its suffix.

        Returns:
            The names of both files by role, and what B, B' and G answer.

        Raises:
            InvalidInput: If B did not come from a file, or the numbers of B' cannot be stored in a
                copy of it.
            NoNumbers: If the outputs of B or of B' are NaN or infinite.
            FileError: If a file cannot be written.
        """
        spec, options = self.inputs.network.spec, self.inputs.options
        if spec.file is None:
            raise InvalidInput("expected a network that was read from a file, got one made here")
        names = {
            "model": f"{model}{file_suffix(cured, spec.file)}",
            "goodnet": f"{goodnet}{goodnet_suffix(spec.file)}",
        }
        save_spec(cured, folder / names["model"])
        # What is written anew holds its layers itself.
        told = None if cured.file is None else options.architecture
        written = read_spec(folder / names["model"], architecture=told)
        written = written.sized(spec.input_shape[1:])
        written = replace(written, preprocessing=spec.preprocessing)
        save_spec(guard_spec(spec, written), folder / names["goodnet"])
        good = load_network(folder / names["goodnet"]).with_preprocessing(spec.preprocessing)
        original = self.predictions  # first: what is wrong with B is not said of B'
        repaired, guarded = _both(to_device(good, options.device), self.inputs)
        return names, PairPredictions(self.inputs, original, repaired, guarded)


def predictions_of(network: Network, inputs: Inputs) -> Predictions:
    """What a network answers to the clean images it is judged by and the poisoned sets."""
    sets = inputs.backdoor.items()
    return Predictions(
        predict_set(network, inputs.judged),
        {name: predict_set(network, images) for name, images in sets},
    )


def _both(goodnet: Network, inputs: Inputs) -> tuple[Predictions, Predictions]:
    """What B' and G answer, from the file of G, which holds B' as its own file has it."""
    layer = repaired_output(goodnet.spec)
    repaired, guarded = predict_inside(goodnet, layer, inputs.judged)
    sets = {key: predict_inside(goodnet, layer, x) for key, x in inputs.backdoor.items()}
    return (
        Predictions(repaired, {key: found[0] for key, found in sets.items()}),
        Predictions(guarded, {key: found[1] for key, found in sets.items()}),
    )


def evaluation(
    inputs: Inputs, answers: Predictions, name: str, *, reject_class: int | None = None
) -> Evaluation:
    """What the answers of one network amount to on the test set and the poisoned sets.

    Args:
        inputs: The images.
        answers: Of the network.
        name: What to call it.
        reject_class: The class that means "backdoored"; None for a network without it.
    """
    test, sets = inputs.test, inputs.backdoor
    return evaluated(
        name,
        None if test is None else (answers.clean, test),
        {key: (found, sets[key]) for key, found in answers.backdoor.items()},
        reject_class=reject_class,
    )
