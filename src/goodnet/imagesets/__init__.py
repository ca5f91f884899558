"""Labelled images, streamed."""

from goodnet.imagesets.by_content import load_images
from goodnet.imagesets.choose_scale import Answer, ScaleChoice, find_scale, usual_scales
from goodnet.imagesets.fits import check_fits
from goodnet.imagesets.imageset import UNLABELLED, Block, ImageSet
from goodnet.imagesets.memory import images_from_arrays
from goodnet.imagesets.pixels import Layout, PixelRange
from goodnet.imagesets.save import save_images
from goodnet.imagesets.scale import RAW, Scale

__all__ = [
    "RAW",
    "UNLABELLED",
    "Answer",
    "Block",
    "ImageSet",
    "Layout",
    "PixelRange",
    "Scale",
    "ScaleChoice",
    "check_fits",
    "find_scale",
    "images_from_arrays",
    "load_images",
    "save_images",
    "usual_scales",
]
