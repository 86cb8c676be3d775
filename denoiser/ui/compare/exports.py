"""What a comparison looks like as a file: the pictures, the numbers."""

import csv
import io
import math
import zipfile
from collections.abc import Mapping

from denoiser.analysis.contact_sheet import method_labels
from denoiser.images import to_png
from denoiser.pipeline import Comparison

CSV_COLUMNS = (
    "id",
    "label",
    "psnr",
    "ssim",
    "gain",
    "milliseconds",
    "sigma",
    "sigma_source",
)
"""What :func:`numbers_csv` holds; psnr and gain in dB, sigma on the [0, 1] scale."""

# All zip files have this date: the real one would tell when a face was looked at.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pictures_zip(comparison: Comparison, labels: Mapping[str, str] | None = None) -> bytes:
    """Pack the pictures as lossless 8-bit PNG files, and the numbers.

    Args:
        comparison: What to pack.
        labels: Names by id for the table; see :func:`~denoiser.analysis.contact_sheet.method_labels`.

    Returns:
        A zip file of ``clean.png``, ``noisy.png``, ``<denoiser id>.png`` and ``numbers.csv``.
    """
    corruption = comparison.corruption
    pictures = {"clean": corruption.clean, "noisy": corruption.noisy}
    pictures |= {method_id: result.image for method_id, result in comparison.items()}
    files = {f"{name}.png": to_png(image) for name, image in pictures.items()}
    files["numbers.csv"] = numbers_csv(comparison, labels).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return buffer.getvalue()


def numbers_csv(comparison: Comparison, labels: Mapping[str, str] | None = None) -> str:
    """Write the scores as CSV: a header, the noisy picture, then every method.

    Numbers have all their digits. Infinity is ``inf``; what does not exist (a sigma for a method
    that takes none) is empty.

    Args:
        comparison: What to write.
        labels: Names by id; see :func:`~denoiser.analysis.contact_sheet.method_labels`.
    """
    names = method_labels(comparison, labels)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for result in (comparison.noisy, *comparison.values()):
        writer.writerow(
            [
                result.id,
                names[result.id],
                _number(result.psnr),
                _number(result.ssim),
                _number(comparison.gain(result.id)),
                _number(result.milliseconds),
                _number(result.sigma.value),
                result.sigma.source,
            ]
        )
    return buffer.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))
