"""The one place that converts: file, PIL picture or NumPy array to float32 in [0, 1], and back."""

from denoiser.images.decoding import MAX_BYTES, MAX_PIXELS, ImageError, ImageSource
from denoiser.images.loading import MAX_SIZE, LoadedFace, load_crops, load_face, load_image
from denoiser.images.values import Image, check_image, from_uint8, to_png, to_uint8

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIZE",
    "Image",
    "ImageError",
    "ImageSource",
    "LoadedFace",
    "check_image",
    "from_uint8",
    "load_crops",
    "load_face",
    "load_image",
    "to_png",
    "to_uint8",
]
