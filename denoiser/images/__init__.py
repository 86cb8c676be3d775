"""The one place that converts: file, PIL picture or NumPy array to float32 in [0, 1], and back."""

from denoiser.images.decoding import MAX_BYTES, MAX_PIXELS, ImageError, ImageSource
from denoiser.images.loading import (
    MAX_SIZE,
    FacePhoto,
    LoadedFace,
    Square,
    load_face,
    load_image,
    load_photo,
    resize_square,
    to_gray,
)
from denoiser.images.photo import Photo, read_photo, write_photo
from denoiser.images.values import LUMA, Image, check_image, from_uint8, to_jpeg, to_png, to_uint8

__all__ = [
    "LUMA",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIZE",
    "FacePhoto",
    "Image",
    "ImageError",
    "ImageSource",
    "LoadedFace",
    "Photo",
    "Square",
    "check_image",
    "from_uint8",
    "load_face",
    "load_image",
    "load_photo",
    "read_photo",
    "resize_square",
    "to_gray",
    "to_jpeg",
    "to_png",
    "to_uint8",
    "write_photo",
]
