"""What of a photograph's EXIF data goes along with it to whoever gets the result."""

import PIL.Image

_EXIF_DIRECTORY = 0x8769

# What is not listed stays behind: the place, the maker's note, serial numbers and names of owners, the
# thumbnail, comments, the time zone; orientation and size, which describe the file that it came from.
_OF_THE_PICTURE = frozenset(
    (
        0x010F,  # Make
        0x0110,  # Model
        0x011A,  # XResolution
        0x011B,  # YResolution
        0x0128,  # ResolutionUnit
        0x0131,  # Software
        0x0132,  # DateTime
        0x013B,  # Artist
        0x8298,  # Copyright
    )
)
_OF_THE_EXPOSURE = frozenset(
    (
        0x829A,  # ExposureTime
        0x829D,  # FNumber
        0x8822,  # ExposureProgram
        0x8827,  # PhotographicSensitivity
        0x8830,  # SensitivityType
        0x8832,  # RecommendedExposureIndex
        0x9000,  # ExifVersion
        0x9003,  # DateTimeOriginal
        0x9004,  # DateTimeDigitized
        0x9201,  # ShutterSpeedValue
        0x9202,  # ApertureValue
        0x9203,  # BrightnessValue
        0x9204,  # ExposureBiasValue
        0x9205,  # MaxApertureValue
        0x9206,  # SubjectDistance
        0x9207,  # MeteringMode
        0x9208,  # LightSource
        0x9209,  # Flash
        0x920A,  # FocalLength
        0xA001,  # ColorSpace
        0xA217,  # SensingMethod
        0xA402,  # ExposureMode
        0xA403,  # WhiteBalance
        0xA404,  # DigitalZoomRatio
        0xA405,  # FocalLengthIn35mmFilm
        0xA406,  # SceneCaptureType
        0xA407,  # GainControl
        0xA408,  # Contrast
        0xA409,  # Saturation
        0xA40A,  # Sharpness
        0xA432,  # LensSpecification
        0xA433,  # LensMake
        0xA434,  # LensModel
    )
)


def shareable_exif(exif: PIL.Image.Exif) -> bytes | None:
    """Return camera, exposure, time, author and copyright, and nothing that tells a place or an owner.

    Args:
        exif: As Pillow reads it.

    Returns:
        EXIF data as Pillow writes it, beginning with ``Exif``; None if nothing is left of it.
    """
    exposure = {tag: v for tag, v in exif.get_ifd(_EXIF_DIRECTORY).items() if tag in _OF_THE_EXPOSURE}
    kept = PIL.Image.Exif()
    for tag, value in exif.items():
        if tag in _OF_THE_PICTURE:
            kept[tag] = value
    if exposure:
        kept.get_ifd(_EXIF_DIRECTORY).update(exposure)
    return kept.tobytes() if len(kept) or exposure else None
