"""Time and memory that reading a picture takes: the worst that is within the limits.

Aim: 3 s and 300 MB for anything that is read, and for all that is refused. The time that counts is the
processor's, which is what a machine without other work takes at most. Each picture is read in a
process of its own, as the page reads an upload; memory is what that process needed beyond what it had
before (VmHWM, which Linux tells). ``python -m tests.benchmarks.big_pictures [NAME ...]``
"""

import io
import json
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image

from tests.conftest import ROOT
from tests.pictures import png_chunk, write_tiff

from ._server import report

SIDE = 5000  # of the largest pictures that are read
DEEP_SIDE = 3464  # of colour with 16 bits
MAX_SECONDS, MAX_MB = 3.0, 300.0
_TIMEOUT = 300

_READ = """
import json, pathlib, re, sys, time
from skimage.data import astronaut
from denoiser.images import ImageError, from_uint8, load_photo, to_jpeg, to_png

def memory(name):
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(name + r":\\s+(\\d+) kB", status)[1]) * 1024 / 1e6

def read(data):
    try:
        photo, overview = load_photo(data)
        to_jpeg(overview)
        return "x".join(map(str, photo.size)) + f", {len(photo.faces)} faces"
    except ImageError as error:
        return str(error)

read(to_png(from_uint8(astronaut())))  # what is loaded once, is
data = pathlib.Path(sys.argv[1]).read_bytes()
before = memory("VmRSS")
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
start, start_cpu = time.perf_counter(), time.process_time()
answer = read(data)
seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
mb = memory("VmHWM") - before
times = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2)}
print(json.dumps({**times, "mb": round(mb), "answer": answer}))
"""


def main(wanted: list[str]) -> None:
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in CASES.items():
            if wanted and name not in wanted:
                continue
            file = Path(folder) / "picture"
            data = make()
            file.write_bytes(data)
            figures[name] = {"file_kb": len(data) // 1000, **_measure(file)}
            print(name, figures[name], file=sys.stderr)
    figures["beyond 3 s or 300 MB"] = [
        name for name, f in figures.items() if f["cpu_seconds"] > MAX_SECONDS or f["mb"] > MAX_MB
    ]
    report("big_pictures", figures)


def _measure(file: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", _READ, str(file)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        return {"cpu_seconds": float(_TIMEOUT), "mb": float("nan"), "answer": "no answer"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["killed"])[-1]
        return {"cpu_seconds": float("inf"), "mb": float("inf"), "answer": last}
    return json.loads(done.stdout.splitlines()[-1])


def _photo(channels: int = 3, noise: int = 0, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """A gradient, with noise that makes files large: (H, W) or (H, W, channels) uint8."""
    ramp = np.linspace(0, 200, width).astype(np.uint8)
    picture = np.repeat(ramp[None], height, axis=0)
    if channels > 1:
        picture = np.repeat(picture[..., None], channels, axis=2)
    if noise:
        rng = np.random.default_rng(0)
        picture = picture + rng.integers(0, noise, picture.shape, dtype=np.uint8)
    return picture


def _saved(mode: str, kind: str, noise: int = 0, *, side: int = SIDE, **options: Any) -> bytes:
    channels = {"L": 1, "P": 1, "1": 1, "F": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    pixels = _photo(channels, noise, side, side)
    if mode in ("1", "F"):
        picture = PIL.Image.fromarray(pixels).convert(mode)
        if mode == "F":
            picture = PIL.Image.fromarray(pixels.astype(np.float32) / 255)
    else:
        picture = PIL.Image.frombuffer(mode, (side, side), pixels.tobytes())
    if mode == "P":
        picture.putpalette([value for level in range(256) for value in (level, 255 - level, 128)])
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _animated(kind: str, side: int = SIDE, **options: Any) -> bytes:
    frames = [PIL.Image.fromarray(_photo(3, 0, side, side)).rotate(90 * turn) for turn in range(2)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def _png(
    bits: int, colour: int, *, side: int = SIDE, interlaced: bool = False, extra: bytes = b""
) -> bytes:
    """A PNG whose rows need the slowest of its filters."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
        passes += [(0, 1, 1, 2)]
    packer = zlib.compressobj(6)
    body = b""
    for left, top, right, down in passes:
        width, height = -(-(side - left) // right), -(-(side - top) // down)
        row = b"\x04" + bytes([1, 0, 0, 2] * (width * channels * bits // 32 + 1))
        row = row[: 1 + -(-width * channels * bits // 8)]
        for _ in range(height):
            body += packer.compress(row)
    body += packer.flush()
    header = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, int(interlaced))
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _many_scans(scans: int) -> bytes:
    """A progressive JPEG with a scan over and over again, which refines nothing."""
    data = _saved("L", "JPEG", progressive=True, quality=5)
    starts = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    last = data[starts[-1] : -2]
    room = (10 * 1024 * 1024 - len(data)) // len(last)
    return data[:-2] + last * min(scans, room) + b"\xff\xd9"


def _cv2(extension: str, channels: int, *options: int, side: int = DEEP_SIDE) -> bytes:
    pixels = _photo(channels, height=side, width=side).astype(np.uint16) * 257
    return cv2.imencode(extension, pixels, list(options))[1].tobytes()


def _many_strips(rows: int) -> bytes:
    tags = {258: [8], 262: [1], 273: [8] * rows, 277: [1], 278: [1], 279: [1] * rows}
    return write_tiff(1, rows, bytes(8), tags)


def _large_tiles(bits: int) -> bytes:
    """Tiles far larger than the picture."""
    body = zlib.compress(bytes(1000))
    tags = {258: [bits] * 3, 259: [8], 262: [2], 277: [3], 322: [16384], 323: [16384]}
    return write_tiff(48, 48, body, tags | {324: [8], 325: [len(body)]})


def _repeated_tags() -> bytes:
    """Readers that take the first of two tags see another size than those that take the last."""
    body = zlib.compress(bytes(48 * 48 * 6))
    tags = {258: [16] * 3, 259: [8], 262: [2], 277: [3]}
    return write_tiff(30000, 30000, body, tags, repeated=((256, 48), (257, 48)))


def _bmp(side: int, rows: int, body: bytes) -> bytes:
    """A gray BMP of runs."""
    palette = b"".join(bytes([level, level, level, 0]) for level in range(256))
    offset = 14 + 40 + len(palette)
    head = b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset)
    head += struct.pack("<IiiHHIIiiII", 40, side, rows, 1, 8, 1, len(body), 0, 0, 256, 0)
    return head + palette + body


def _bmp_runs() -> bytes:
    row = b"\xff\x01" * (SIDE // 255) + bytes([SIDE % 255, 2]) + b"\0\0"
    return _bmp(SIDE, SIDE, row * SIDE + b"\0\1")


def _bmp_short_runs() -> bytes:
    """As many runs as are allowed."""
    return _bmp(2000, 990, (b"\x01\x01" * 2000 + b"\0\0") * 990 + b"\0\1")


def _ppm(magic: str, width: int, height: int, maxval: int | None, body: bytes) -> bytes:
    head = [magic, f"{width} {height}", *([] if maxval is None else [str(maxval)]), ""]
    return "\n".join(head).encode() + body


CASES: dict[str, Callable[[], bytes]] = {
    "png 16 bit rgb of 25 megapixels": lambda: _png(16, 2),
    "png 16 bit rgb": lambda: _png(16, 2, side=DEEP_SIDE),
    "png 16 bit rgba": lambda: _png(16, 6, side=DEEP_SIDE),
    "png 16 bit rgba interlaced": lambda: _png(16, 6, side=DEEP_SIDE, interlaced=True),
    "png 16 bit gray alpha": lambda: _png(16, 4, side=DEEP_SIDE),
    "png 16 bit gray": lambda: _png(16, 0),
    "png 16 bit gray transparent": lambda: _png(16, 0, extra=png_chunk(b"tRNS", b"\1\0")),
    "png rgb": lambda: _png(8, 2),
    "png rgba": lambda: _png(8, 6),
    "png rgba interlaced": lambda: _png(8, 6, interlaced=True),
    "png palette transparent": lambda: _png(
        8, 3, extra=png_chunk(b"PLTE", bytes(range(256)) * 3) + png_chunk(b"tRNS", bytes(range(256)))
    ),
    "png 1 bit": lambda: _png(1, 0),
    "jpeg": lambda: _saved("RGB", "JPEG", 40, quality=60),
    "jpeg gray": lambda: _saved("L", "JPEG", 60, quality=70),
    "jpeg cmyk": lambda: _saved("CMYK", "JPEG", 30, quality=50),
    "jpeg progressive": lambda: _saved("RGB", "JPEG", 40, quality=60, progressive=True),
    "jpeg progressive 444": lambda: _saved(
        "RGB", "JPEG", 30, quality=50, progressive=True, subsampling=0
    ),
    "jpeg progressive cmyk": lambda: _saved("CMYK", "JPEG", 30, quality=50, progressive=True),
    "jpeg 40 scans": lambda: _many_scans(29),
    "jpeg 5000 scans": lambda: _many_scans(5000),
    "gif": lambda: _saved("P", "GIF"),
    "gif animated": lambda: _animated("GIF"),
    "webp": lambda: _saved("RGB", "WEBP", 20, side=4000, quality=50),
    "webp rgba lossless": lambda: _saved("RGBA", "WEBP", side=4000, lossless=True, method=0),
    "webp animated": lambda: _animated("WEBP", side=4000, method=0),
    "bmp 1 bit": lambda: _saved("1", "BMP"),
    "bmp runs": _bmp_runs,
    "bmp of short runs": _bmp_short_runs,
    "tiff rgb": lambda: _saved("RGB", "TIFF", compression="tiff_adobe_deflate"),
    "tiff cmyk": lambda: _saved("CMYK", "TIFF", compression="tiff_adobe_deflate"),
    "tiff deflate rgba one strip": lambda: _saved(
        "RGBA", "TIFF", compression="tiff_adobe_deflate", tiffinfo={278: SIDE}
    ),
    "tiff float": lambda: _saved("F", "TIFF", compression="tiff_adobe_deflate"),
    "tiff jpeg": lambda: _saved("RGB", "TIFF", 10, compression="jpeg", quality=60),
    "tiff turned": lambda: _saved("RGB", "TIFF", compression="tiff_adobe_deflate", tiffinfo={274: 6}),
    "tiff 16 bit rgb": lambda: _cv2(".tiff", 3),
    "tiff 16 bit rgba": lambda: _cv2(".tiff", 4),
    "tiff 16 bit rgba one strip": lambda: _cv2(".tiff", 4, cv2.IMWRITE_TIFF_ROWSPERSTRIP, DEEP_SIDE),
    "tiff animated": lambda: _animated("TIFF", compression="tiff_adobe_deflate"),
    "tiff of 50,000 strips": lambda: _many_strips(50_000),
    "tiff of 1,200,000 strips": lambda: _many_strips(1_200_000),
    "tiff large tiles": lambda: _large_tiles(8),
    "tiff large tiles 16 bit": lambda: _large_tiles(16),
    "tiff repeated tags": _repeated_tags,
    "ppm 16 bit": lambda: _ppm("P6", 1700, 1000, 65535, bytes(1700 * 1000 * 6)),
    "ppm of 255 levels": lambda: _ppm("P6", 1700, 2000, 254, bytes(1700 * 2000 * 3)),
    "pgm of 1001 levels": lambda: _ppm("P5", 2500, 2000, 1000, bytes(2500 * 2000 * 2)),
    "ppm plain": lambda: _ppm("P3", 800, 800, 255, b"7 " * (800 * 800 * 3)),
    "pbm plain": lambda: _ppm("P1", 1990, 1990, None, b"1" * (1990 * 1990)),
    "pbm": lambda: _ppm("P4", SIDE, SIDE, None, bytes(SIDE * SIDE // 8)),
    "pfm": lambda: b"Pf\n1600 1600\n-1.0\n" + bytes(4 * 1600 * 1600),
    "avif": lambda: _saved("RGB", "AVIF", side=4000, quality=60, speed=10, subsampling="4:4:4"),
    "avif alpha": lambda: _saved("RGBA", "AVIF", side=4000, quality=50, speed=10),
}


if __name__ == "__main__":
    main(sys.argv[1:])
