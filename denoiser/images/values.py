"""What a picture is here, and its way to 8 bits and back."""

import io

import numpy as np
import numpy.typing as npt
import PIL.Image

Image = npt.NDArray[np.float32]
"""A picture: float32 in [0, 1], (H, W) for gray or (H, W, 3) for RGB, any size from 1x1 up."""

LUMA = (0.299, 0.587, 0.114)
"""How much red, green and blue count for gray: ITU-R 601."""


def check_image(image: np.ndarray, name: str = "image") -> Image:
    """Return ``image`` as float32 after checking that it is a finite picture.

    Values a little outside [0, 1] pass: noise that was not clipped is legitimate input.

    Args:
        image: (H, W) or (H, W, 3), floating point.
        name: How to call it in the error.

    Raises:
        TypeError: It is not a floating-point array.
        ValueError: Its shape is wrong, it is empty, or it holds NaN or infinity.
    """
    if not isinstance(image, np.ndarray) or not np.issubdtype(image.dtype, np.floating):
        raise TypeError(
            f"{name} must be a floating-point NumPy array in [0, 1]; "
            "denoiser.load_image converts files, PIL pictures and 8-bit arrays"
        )
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"{name} must have shape (H, W) or (H, W, 3), not {image.shape}")
    if image.size == 0:
        raise ValueError(f"{name} is empty: its shape is {image.shape}")
    if not np.isfinite(image).all():
        raise ValueError(f"{name} holds NaN or infinite values")
    return image.astype(np.float32, copy=False)


def to_uint8(image: np.ndarray) -> npt.NDArray[np.uint8]:
    """Convert floats in [0, 1] (clipped to it) to the nearest of 0 to 255; any shape."""
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)


def from_uint8(pixels: npt.NDArray[np.uint8]) -> Image:
    """Convert 0 to 255 to float32 in [0, 1]; any shape. :func:`to_uint8` undoes it exactly."""
    return pixels.astype(np.float32) / np.float32(255.0)


def to_unit(pixels: np.ndarray) -> Image:
    """Convert whole numbers, 0 to their type's highest, to float32 in [0, 1]; floats stay."""
    if np.issubdtype(pixels.dtype, np.integer):
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return pixels.astype(np.float32, copy=False)


def from_unit(image: Image, dtype: npt.DTypeLike) -> np.ndarray:
    """Convert floats in [0, 1] to the nearest whole numbers of a type; :func:`to_unit` undoes it."""
    if np.issubdtype(dtype, np.integer):
        return np.rint(image * np.float32(np.iinfo(dtype).max)).astype(dtype)
    return image.astype(dtype, copy=False)


def to_png(image: Image) -> bytes:
    """Encode a picture, (H, W) or (H, W, 3) in [0, 1], as an 8-bit PNG file's bytes."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(to_uint8(image)).save(buffer, format="PNG")
    return buffer.getvalue()


def to_jpeg(image: Image) -> bytes:
    """Encode a picture, (H, W) or (H, W, 3) in [0, 1], as a JPEG file's bytes: small, and not exact."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(to_uint8(image)).save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()
