"""Folders of image classifiers as the Hugging Face Hub has them: `config.json` and weights.

What a configuration says is drawn here layer by layer, one module a family of networks, after the
papers and with the names that transformers gives the arrays. That library is not needed, and no
code in a folder is run.
"""

from goodnet.formats.hugging_face.config import Told, is_config, read_config
from goodnet.formats.hugging_face.drawing import Drawing
from goodnet.formats.hugging_face.folder import (
    CONFIG,
    Held,
    holds,
    homes,
    read_config_file,
    read_folder,
)

__all__ = [
    "CONFIG",
    "Drawing",
    "Held",
    "Told",
    "holds",
    "homes",
    "is_config",
    "read_config",
    "read_config_file",
    "read_folder",
]
