"""What the configuration of an image processor (Hugging Face, timm) says of a network's images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from goodnet.errors import GoodnetError, InvalidInput, UsageError
from goodnet.formats import safe_file
from goodnet.formats.hugging_face import homes
from goodnet.imagesets import Sizing
from goodnet.preprocessing import Preprocessing
from goodnet.quarantine import quarantined
from goodnet.typed_json import Unreadable, decode

# As they are called in the folder of a model.
_NAMES = ("preprocessor_config.json", "config.json")
_FILE_BYTES = 2**20
_WHOLE_FROM = 384  # From this size on ConvNeXT resizes whole pictures, below by `crop_pct`.
_Numbers = float | tuple[float, ...]
_Size = int | dict[str, int | None] | tuple[int, ...]


@dataclass(frozen=True)
class _Timm:
    """`pretrained_cfg` of timm."""

    mean: _Numbers = ()
    std: _Numbers = ()
    input_size: tuple[int, ...] = ()
    crop_pct: float | None = None


@dataclass(frozen=True)
class _Processor:
    """`preprocessor_config.json` of Hugging Face, or the `config.json` of a timm model.

    An older one says nothing of rescaling, and rescales.
    """

    do_resize: bool | None = None
    size: _Size | None = None
    crop_pct: float | None = None
    do_center_crop: bool | None = None
    crop_size: _Size | None = None
    do_rescale: bool | None = None
    rescale_factor: float = 1 / 255
    rescale_offset: bool | None = None
    do_normalize: bool | None = None
    image_mean: _Numbers | None = None
    image_std: _Numbers | None = None
    do_flip_channel_order: bool | None = None
    pretrained_cfg: _Timm | None = None

    @property
    def is_one(self) -> bool:
        """Whether it says anything; other files have the same names."""
        return self.pretrained_cfg is not None or self != _Processor()


def read_processor_config(path: Path) -> str:
    """What a configuration says, as `--preprocess` takes it: "resize,x/255,mean=0.5,std=0.5".

    Args:
        path: `preprocessor_config.json` of a Hugging Face model, or the `config.json` of timm.

    Raises:
        FileError: If it cannot be read.
        InvalidInput: If it is something else.
        OverBudget: If it has more than a megabyte.
    """
    return quarantined(_read, path, subject=repr(str(path)))


def _read(path: Path) -> str:
    with safe_file.open_regular(path, what="preprocessor config", limit=_FILE_BYTES) as file:
        content = file.read()
    try:
        found = decode(content, _Processor)
    except Unreadable as error:
        raise InvalidInput(
            f"expected a preprocessor_config.json, got something else ({error}): {str(path)!r}"
        ) from error
    if not found.is_one:
        raise InvalidInput(f"says nothing of how images are preprocessed: {str(path)!r}")
    try:
        timm = found.pretrained_cfg
        sizing, pixels = (_sizing(found), _pixels(found)) if timm is None else _of_timm(timm)
        text = ",".join((*sizing, pixels.text))
        Preprocessing.parse(Sizing.split(text)[1])
    except (InvalidInput, UsageError, ArithmeticError) as error:
        raise InvalidInput(f"no preprocessing is like that ({error}): {str(path)!r}") from error
    return text


def processor_config_beside(model: Path) -> tuple[str, Path] | None:
    """The same of a configuration in the folder of a model; None where there is none.

    Args:
        model: The file of the model, or the folder itself.
    """
    folder = model if model.is_dir() else model.parent
    # A link is followed where the model is one beside it, as in the cache of Hugging Face.
    places = homes(model) if model.is_dir() else (model.resolve().parent,)
    for path in (folder / name for name in _NAMES):
        if path.is_file() and path.resolve().parent in places:
            try:
                return read_processor_config(path), path
            except GoodnetError:
                continue  # it belongs to something else
    return None


def _sizing(found: _Processor) -> list[str]:
    """Pictures that are not square are resized by their shorter side before they are cut."""
    side = found.size
    if isinstance(side, dict):
        side = side.get("shortest_edge") or (side.get("height") if found.do_center_crop else None)
        crops = side is not None
    else:
        crops = bool(found.do_center_crop)
    if not found.do_resize:
        return ["center-crop"] if found.do_center_crop else []
    if not isinstance(side, int):
        return ["resize"]
    if found.crop_pct and side < _WHOLE_FROM:
        return [f"resize={int(side / found.crop_pct)}", "center-crop"]
    return [f"resize={side}", "center-crop"] if crops else ["resize"]


def _pixels(found: _Processor) -> Preprocessing:
    normalizes = found.do_normalize is not False
    mean = (found.image_mean if normalizes else None) or 0.0
    offset = 1.0 if found.rescale_offset else 0.0
    return Preprocessing(
        255 * (1.0 if found.do_rescale is False else found.rescale_factor),
        tuple(each + offset for each in mean) if isinstance(mean, tuple) else mean + offset,
        (found.image_std if normalizes else None) or 1.0,
        "BGR" if found.do_flip_channel_order else "RGB",
    )


def _of_timm(found: _Timm) -> tuple[list[str], Preprocessing]:
    side = found.input_size[-1] if found.input_size else None
    sizing = [f"resize={int(side / (found.crop_pct or 1))}", "center-crop"] if side else []
    return sizing, Preprocessing(1, found.mean or 0.0, found.std or 1.0)
