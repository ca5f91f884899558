"""Which class is which: what the names of folders, or labels as they are stored, stand for."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np

from goodnet.errors import InvalidInput, OverBudget, UsageError
from goodnet.formats import safe_file
from goodnet.quarantine import quarantined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodnet.imagesets.imageset import ImageSet
    from goodnet.types import Integers

    Rights = NDArray[np.bool_]

ClassOrder = Literal["numbers", "from-1", "natural", "text"]

_NUMBERED = re.compile(r"[0-9]{1,9}")
_FILE_BYTES, _MOST_CLASSES = 2**24, 100_000
_LISTED = 3
# The sign test below is made for a few orders on every clean set; so rare a chance is none.
_SIGNIFICANT = 0.001
_TELLING = 3
_EACH, _MOSTLY = 10, 0.75  # images for each class, and how many are right in any other order
_LIST = "--classes FILE, a list of these names in the order of the network's classes"
_RIGHT = 0.5  # what does not fit as a whole is not a matter of order


@dataclass(frozen=True)
class ClassNames:
    """The classes of a network by name.

    Attributes:
        names: What to call each class, from 0 on; empty where that is not known.
        places: The class by each name that it goes by.
        source: Where the names are from, for messages.
    """

    names: tuple[str, ...]
    places: Mapping[str, int]
    source: str

    @classmethod
    def read(cls, path: Path) -> ClassNames:
        """Read names, one a line, or the JSON index of ImageNet.

        Args:
            path: Text, or JSON: a list of names, for each name its class, or for each class its
                name or several, as in `{"0": ["n01440764", "tench"]}`, of which the last is shown.

        Raises:
            FileError: If it cannot be read.
            InvalidInput: If it is neither, or two classes have the same name.
        """
        return quarantined(_read_names, path, subject=repr(str(path)), kinds=(cls,))


def _read_names(path: Path) -> ClassNames:
    with safe_file.open_regular(path, what="list of classes", limit=_FILE_BYTES) as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
        each = _from_json(text) if text.lstrip()[:1] in ("{", "[") else _from_lines(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            "expected the names of classes, one a line, or JSON such as "
            f'{{"0": ["n01440764", "tench"]}}, got something else: {str(path)!r}'
        ) from error
    if len(each) > _MOST_CLASSES:
        raise OverBudget(f"at most {_MOST_CLASSES:,} classes are read: {str(path)!r}")
    places = {name: place for place, names in enumerate(each) for name in names}
    if len(places) < sum(map(len, map(set, each))):
        twice = Counter(name for names in each for name in set(names)).most_common(1)[0][0]
        raise InvalidInput(f"two classes are called {twice!r}: {str(path)!r}")
    return ClassNames(tuple(names[-1] for names in each), places, path.name)


def _from_lines(text: str) -> list[tuple[str, ...]]:
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not lines or not all(lines):
        raise ValueError("an empty line")
    return [(line,) for line in lines]


def _from_json(text: str) -> list[tuple[str, ...]]:
    found = json.loads(text)
    if isinstance(found, dict):
        if all(type(place) is int for place in found.values()):
            found = {str(place): name for name, place in found.items()}
        if found.keys() != {str(place) for place in range(len(found))}:
            raise ValueError("not the classes 0, 1, 2, ...")
        found = [found[str(place)] for place in range(len(found))]
    each = [tuple(names) if isinstance(names, list) else (names,) for names in found]
    if not each or not all(names and all(isinstance(x, str) for x in names) for names in each):
        raise ValueError("not names")
    return each


@dataclass(frozen=True)
class Labelling:
    """Which class each folder, or each label as it is stored, stands for.

    Attributes:
        by_name: The class by the name of the folder, or by the label as text.
        order: "natural" or "text" where the place of a name among all is its class, "numbers" where
            it is its own class, "from-1" where that is one more than its class, "names" where a
            list of classes says it.
        folders: Whether the names are those of folders.
        stated: Whether the user said so.
        shown: What to call each class, from 0 on; empty where the names say it, or nothing does.
    """

    by_name: Mapping[str, int]
    order: ClassOrder | Literal["names"] = "numbers"
    folders: bool = True
    stated: bool = False
    shown: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of_folders(cls, names: Sequence[str], what: str) -> Labelling:
        """Of folders: their numbers where all have one, else their place in natural order.

        Raises:
            InvalidInput: If two folders have the same number.
        """
        if not all(map(_NUMBERED.fullmatch, names)):
            return cls(_placed(names, "natural"), "natural")
        found = {name: int(name) for name in names}
        if len(set(found.values())) < len(found):
            twice = Counter(found.values()).most_common(1)[0][0]
            raise InvalidInput(f"{what}: two sub-folders have the same number, {twice}")
        return cls(found)

    @property
    def by_place(self) -> bool:
        """Whether the class of a name depends on what other names there are."""
        return self.order in ("natural", "text")

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What each class is called, from 0 on; None where nothing says it."""
        if self.shown:
            return self.shown
        names = sorted(self.by_name, key=self.by_name.__getitem__)
        return tuple(names) if self.by_place and self.folders else None

    def describe(self, num_classes: int | None = None) -> str:
        """For example "class_0 = 0, ..., class_11 = 11 (12 folders in natural order)"."""
        pairs = sorted(self.by_name.items(), key=lambda pair: pair[1])
        ends = pairs if len(pairs) < _LISTED else [pairs[0], pairs[-1]]
        parts = [f"{name} = {self._called(place)}" for name, place in ends]
        parts[1:1] = ["..."] * (len(pairs) >= _LISTED)
        what = ("folder" if self.folders else "label") + "s" * (len(pairs) != 1)
        how = f" in {self.order} order" if self.by_place else ""
        known = "" if num_classes in (None, len(pairs)) else f" of {num_classes} classes"
        return f"{', '.join(parts)} ({len(pairs)} {what}{known}{how})"

    def first(self) -> str:
        """For example "class_0 = 0, class_1 = 1, class_2 = 2, ..."."""
        pairs = sorted(self.by_name.items(), key=lambda pair: pair[1])[:_LISTED]
        return ", ".join([*(f"{name} = {place}" for name, place in pairs), "..."])

    def _called(self, place: int) -> str:
        known = self.shown[place] if place < len(self.shown) else ""
        return f"{place} ({known})" if known and known not in self.by_name else str(place)


def _placed(names: Iterable[str], order: ClassOrder) -> dict[str, int]:
    """The place of each name.

    Example:
        >>> _placed(["a10", "a9", "b1"], "natural")
        {'a9': 0, 'a10': 1, 'b1': 2}
    """
    found = sorted(names, key=os.fsencode)
    if order == "natural":
        found.sort(key=_natural)
    return {name: place for place, name in enumerate(found)}


def _natural(name: str) -> list[tuple[bytes, int]]:
    """To sort by: numbers within a name count as numbers."""
    parts = [*re.split("([0-9]+)", name), "0"]
    return [(os.fsencode(a), int(b)) for a, b in zip(parts[::2], parts[1::2], strict=True)]


def parse_order(text: str | None) -> ClassOrder | None:
    """What a user says about the order of classes.

    Raises:
        UsageError: If it is not one that is known.
    """
    if text is not None and text not in get_args(ClassOrder):
        known = " or ".join(get_args(ClassOrder))
        raise UsageError(f"the order of classes is {known}, got {text!r}")
    return cast("ClassOrder | None", text)


def by_names(
    images: ImageSet, names: ClassNames | None = None, order: ClassOrder | None = None
) -> ImageSet:
    """The set with classes as a user says: by a list, or by the place of a name among all.

    Args:
        images: Labelled by folders or numbers.
        names: The classes by name; numbers that are no names stay what they are.
        order: Of all names, folders or labels; their places are the classes.

    Raises:
        InvalidInput: If a folder with images is not among the names, or names are no numbers that
            count from 0 or 1, as they should.
    """
    if not images.labelled or (names is None and order is None):
        return images
    old = images.labelling
    if order in ("numbers", "from-1") and old.order != "numbers":
        raise InvalidInput(
            f"{images.name}: its folders have no numbers to take as classes ({old.first()})"
        )
    if order == "numbers":
        return replace(images, known_labelling=replace(old, stated=True))
    if order == "from-1":
        if min(old.by_name.values(), default=1) < 1:
            raise InvalidInput(f"{images.name}: its classes do not count from 1 ({old.first()})")
        lower = {name: place - 1 for name, place in old.by_name.items()}
        return _with(images, replace(old, by_name=lower, order="from-1"))
    if order is not None:
        return _with(images, replace(old, by_name=_placed(old.by_name, order), order=order))
    known = cast("ClassNames", names)
    used = set(images.labels.tolist())
    unknown = [n for n, c in old.by_name.items() if n not in known.places and c in used]
    if not unknown:
        places = {n: known.places[n] for n in old.by_name if n in known.places}
        return _with(images, replace(old, by_name=places, order="names", shown=known.names))
    if old.order == "numbers":
        return _with(images, replace(old, shown=known.names))
    listed = ", ".join(map(repr, unknown[:_LISTED])) + ", ..." * (len(unknown) > _LISTED)
    raise InvalidInput(
        f"{images.name}: {known.source} has no class called {listed}; it has "
        f"{', '.join(map(repr, list(known.places)[:_LISTED]))}, ..."
    )


def _with(images: ImageSet, labelling: Labelling) -> ImageSet:
    """The set with other classes for the same names."""
    old = images.labelling.by_name
    table = {old[name]: place for name, place in labelling.by_name.items()}

    def mapped(labels: Integers) -> Integers:
        found, inverse = np.unique(labels, return_inverse=True)
        return np.array([table[x] for x in found.tolist()], np.int64)[inverse]

    source = images.source_labels
    return replace(
        images,
        labels=mapped(images.labels),
        source_labels=None if source is None else mapped(source),
        known_labelling=replace(labelling, stated=True),
    )


def names_of(images: ImageSet) -> ClassNames | None:
    """What the folders or labels of a set stand for, for others that go with it.

    None where they are numbers that are classes themselves, or one more.
    """
    known = images.labelling
    if known.order in ("numbers", "from-1"):
        return None
    return ClassNames(known.class_names or (), known.by_name, images.name)


def check_count(images: ImageSet, num_classes: int) -> None:
    """See whether the places of names among all can be the classes of a network.

    Raises:
        InvalidInput: If there are more or fewer names than classes.
    """
    known = images.labelling
    count = len(known.by_name)
    if not known.by_place or count == num_classes:
        return
    used = set(images.labels.tolist())
    empty = [f"{name!r} holds no images" for name, x in known.by_name.items() if x not in used]
    missing = [f"{name!r} seems to be missing" for name in _gaps(known.by_name)]
    missing = [*empty[:_LISTED], *missing[:_LISTED]]
    what = "folders" if known.folders else "labels"
    raise InvalidInput(
        f"{images.name}: {count} {what} for {num_classes} classes: which is which "
        f"({'; '.join([known.first(), *missing])})? Give the names of all classes in their order "
        "with --classes FILE, one a line"
    )


def _gaps(names: Iterable[str]) -> list[str]:
    """Names that are missing where all differ in one number only and count in ones."""
    parts = [re.fullmatch("(.*?)([0-9]+)([^0-9]*)", name) for name in names]
    if not all(parts) or len({(x[1], x[3]) for x in parts if x}) > 1:
        return []
    numbers = {int(x[2]): len(x[2]) for x in parts if x}
    before, after, width = next((x[1], x[3], min(numbers.values())) for x in parts if x)
    inside = range(min(numbers), max(numbers) + 1)
    if len(inside) > 2 * len(numbers):
        return []
    return [f"{before}{x:0{width}}{after}" for x in inside if x not in numbers]


@dataclass(frozen=True)
class _Other:
    """Another way to number the classes.

    Attributes:
        how: In words.
        classes: By the class as it is now, shape (classes,); -1 for none.
        option: What makes it so.
    """

    how: str
    classes: Integers
    option: str


def check_order(
    images: ImageSet, labels: Integers, answers: Sequence[Integers], *, num_classes: int
) -> None:
    """See whether a network's answers fit another order of the classes better.

    The other order, text for natural or a shift by one, has to be right on half of the images, on
    more of those on which only one of the two is right than chance would have it (one-sided sign
    test, p < 0.001), and for three classes or more. Where there are ten images for each class, so
    may any order be that is right on three quarters of them.

    Args:
        images: The clean set.
        labels: Of some of its images, shape (n,).
        answers: What the network gives these, in one or several ways, shape (n,) each.
        num_classes: How many classes it has.

    Raises:
        InvalidInput: If one does, unless the user has said what the order is.
    """
    known = images.labelling
    if known.stated or not len(labels) or labels.min() < 0 or labels.max() >= num_classes:
        return
    best = max((given == labels for given in answers), key=np.count_nonzero)
    usual = ((x, given, _RIGHT) for x in _others(known, num_classes) for given in answers)
    most = ((_most_answered(labels, given, num_classes), given, _MOSTLY) for given in answers)
    for other, given, share in (*usual, *most):
        fits = np.zeros(len(labels), bool) if other is None else given == other.classes[labels]
        # Of a few classes, and of constant answers, as many fit by chance.
        several = len(np.unique(given[fits])) >= min(_TELLING, num_classes)
        if other and several and fits.mean() >= share and _is_better(fits, best):
            raise InvalidInput(
                f"{images.name}: {int(best.sum())} of {len(labels)} images are right with the "
                f"classes as they are ({known.first()}), {int(fits.sum())} {other.how}; pass "
                f"{other.option}, or --class-order {known.order} to leave them as they are"
            )


def _most_answered(labels: Integers, answers: Integers, num_classes: int) -> _Other | None:
    """Each class as what its images are answered most; None where few tell, or it is as it is."""
    if len(labels) < _EACH * num_classes:
        return None
    every = range(num_classes)
    counts = (np.bincount(answers[labels == x], minlength=num_classes) for x in every)
    classes = np.array([count.argmax() for count in counts])
    changed = np.flatnonzero(classes != np.arange(num_classes))
    if not changed.size or len({*classes.tolist()}) < num_classes:
        return None
    shown = ", ".join(f"{x} is {classes[x]}" for x in changed[:_LISTED])
    return _Other(f"if {shown}{', ...' * (len(changed) > _LISTED)}", classes, _LIST)


def _is_better(fits: Rights, best: Rights) -> bool:
    from scipy.stats import binomtest

    more, less = int((fits & ~best).sum()), int((best & ~fits).sum())
    if more <= less:
        return False
    test = binomtest(more, more + less, alternative="greater")
    return bool(test.pvalue < _SIGNIFICANT)


def _others(known: Labelling, num_classes: int) -> Iterator[_Other]:
    """The usual ways in which the classes of a network differ from those of a set."""
    if known.by_place:
        text, classes = _placed(known.by_name, "text"), np.full(num_classes, -1)
        for name, place in known.by_name.items():
            classes[place] = text[name]
        if text != known.by_name:
            how = f"in text order ({Labelling(text).first()})"
            yield _Other(how, classes, "--class-order text")
        return
    option = _LIST
    every = np.arange(num_classes)
    if all(name == str(place) for name, place in known.by_name.items()):
        order = np.array(sorted(every, key=str))
        complete = len(known.by_name) == num_classes
        how = f"in text order ({Labelling({str(x): i for i, x in enumerate(order[:4])}).first()})"
        if (order != every).any():
            yield _Other(how, np.argsort(order), "--class-order text" if complete else option)
            yield _Other("if they stand for places in text order", order, option)
    yield _Other("if they count from 1", every - 1, "--class-order from-1")
    yield _Other("if they count from 1 too low", np.append(every[1:], -1), option)
