"""Labelled images, streamed."""

from goodnet.imagesets.by_content import load_each, load_images
from goodnet.imagesets.classes import (
    ClassNames,
    Labelling,
    by_names,
    check_order,
    names_of,
)
from goodnet.imagesets.fits import Sizing, check_fits, fitted
from goodnet.imagesets.imageset import UNLABELLED, Block, ImageSet
from goodnet.imagesets.memory import images_from_arrays
from goodnet.imagesets.overlap import cannot_show
from goodnet.imagesets.pixels import Layout, PixelRange
from goodnet.imagesets.save import save_images

__all__ = [
    "UNLABELLED",
    "Block",
    "ClassNames",
    "ImageSet",
    "Labelling",
    "Layout",
    "PixelRange",
    "Sizing",
    "by_names",
    "cannot_show",
    "check_fits",
    "check_order",
    "fitted",
    "images_from_arrays",
    "load_each",
    "load_images",
    "names_of",
    "save_images",
]
