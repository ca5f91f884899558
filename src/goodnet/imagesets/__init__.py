"""Labelled images, streamed."""

from goodnet.imagesets.by_content import load_images
from goodnet.imagesets.fits import Sizing, check_fits, fitted
from goodnet.imagesets.imageset import UNLABELLED, Block, ImageSet
from goodnet.imagesets.memory import images_from_arrays
from goodnet.imagesets.pixels import Layout, PixelRange
from goodnet.imagesets.save import save_images

__all__ = [
    "UNLABELLED",
    "Block",
    "ImageSet",
    "Layout",
    "PixelRange",
    "Sizing",
    "check_fits",
    "fitted",
    "images_from_arrays",
    "load_images",
    "save_images",
]
