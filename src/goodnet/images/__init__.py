"""Labelled images, streamed."""

from goodnet.images.by_content import open_images
from goodnet.images.choose_scale import Answer, ScaleChoice, find_scale, usual_scales
from goodnet.images.fits import check_fits
from goodnet.images.imageset import UNLABELLED, Block, ImageSet
from goodnet.images.memory import images_from_arrays
from goodnet.images.pixels import Layout, PixelRange
from goodnet.images.save import save_images
from goodnet.images.scale import RAW, Scale

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
    "open_images",
    "save_images",
    "usual_scales",
]
