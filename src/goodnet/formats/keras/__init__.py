"""Keras files, read without Keras."""

from goodnet.formats.keras.reader import read

__all__ = ["read"]
