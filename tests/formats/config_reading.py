"""How tests turn the configuration of a model into its architecture."""

from __future__ import annotations

from keras_samples import Config

from goodnet.formats.keras.architecture import Architecture, read_architecture


def architecture(model: Config, *, major: int = 2) -> Architecture:
    return read_architecture(model, keras_major=major)
