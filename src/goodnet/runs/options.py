"""What commands are told: the files, how to read them, and where to leave what is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.errors import UsageError

if TYPE_CHECKING:
    from goodnet.imagesets import Sizing
    from goodnet.preprocessing import Preprocessing


@dataclass(frozen=True)
class InputOptions:
    """How to read what the user gave.

    Attributes:
        architecture: Where a weights-only file finds its layers.
        scale: What stored pixels are multiplied by, as text ("1/255"); None to find out.
        layout: "NCHW" or "NHWC"; None to find out.
        range: "0..255", "0..1" or "-1..1"; None to find out.
        device: Where to compute, as PyTorch names it.
        preprocess: What the network takes, as `Preprocessing.parse` reads it, and how images of
            another size are brought to its size, as `Sizing.split` does; or the path of a
            `preprocessor_config.json`, which is read at once; None to find out.
        classes: A file with the names of the network's classes; None where folders or labels say
            which is which.
        class_order: "numbers", "from-1", "natural" or "text"; None for numbers where there are
            some, else natural.

    Raises:
        GoodnetError: If a configuration cannot be read.
        UsageError: If `preprocess` is none of these, or says what `scale` says as well.
    """

    architecture: Path | None = None
    scale: str | None = None
    layout: str | None = None
    range: str | None = None
    device: str = "cpu"
    preprocess: str | None = None
    classes: Path | None = None
    class_order: str | None = None

    def __post_init__(self) -> None:
        if self.preprocess is not None and self.preprocess.endswith(".json"):
            from goodnet.processor_config import read_processor_config

            object.__setattr__(self, "preprocess", read_processor_config(Path(self.preprocess)))
        if self.scale is not None and self.preprocessing is not None:
            raise UsageError("--scale and --preprocess say the same, give one of them")

    @property
    def sizing(self) -> Sizing | None:
        """How images of another size are brought to the network's; None to refuse them."""
        return self._parts[0]

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What the network takes; None to find out."""
        from goodnet.preprocessing import Preprocessing

        rest = self._parts[1]
        return Preprocessing.parse(rest) if rest else None

    @property
    def says_pixels(self) -> bool:
        """Whether it is told what the network takes."""
        return self.scale is not None or self.preprocessing is not None

    @property
    def says_classes(self) -> bool:
        """Whether it is told which class is which."""
        return self.classes is not None or self.class_order is not None

    @property
    def _parts(self) -> tuple[Sizing | None, str]:
        from goodnet.imagesets import Sizing

        return (None, "") if self.preprocess is None else Sizing.split(self.preprocess)


@dataclass(frozen=True)
class InputFiles:
    """The files of a command; poisoned sets are only ever measured on.

    Attributes:
        model: The suspect network.
        clean: Clean labelled validation set; None where there is none.
        test: Clean labelled test set.
        backdoor: Poisoned sets by name.
    """

    model: Path
    clean: Path | None
    test: Path | None = None
    backdoor: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a command leaves what it makes.

    Attributes:
        out: The run folder to make.
        report: Whether a report goes into it.
        force: Replace a run folder that is already there.
        line: The command as typed; "" where it was called from a program.
    """

    out: Path
    report: bool = False
    force: bool = False
    line: str = ""
