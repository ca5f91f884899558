"""What tests of harmful model files share: how a file is refused, and the input of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from keras_samples import Config, layer

from goodnet.errors import FileError, GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats.keras import read

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "token-of-another-file"
EXIT_CODES = {UnsafeInput: 3, InvalidInput: 4, OverBudget: 5, FileError: 6}


def refused(path: Path, error: type[GoodnetError], match: str) -> None:
    """The file is refused with this error; the message is one line and holds no secret."""
    with pytest.raises(error, match=match) as caught:
        read(path)
    assert caught.value.exit_code == EXIT_CODES[error]
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500


def image() -> Config:
    return layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3])
