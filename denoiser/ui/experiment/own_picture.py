"""A visitor's own picture: the square of it that is the face, and how long the rest is kept."""

import base64
import secrets
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from weakref import WeakKeyDictionary

from denoiser.faces.fer2013 import FACE_SIZE
from denoiser.faces.samples import MOST_DETAIL
from denoiser.images import FacePhoto, Image, ImageError, Square, load_photo, to_jpeg
from denoiser.ui.common.payload import Payload, new_version
from denoiser.ui.experiment.run import Face
from denoiser.ui.server.kept import make_room

ONE_PICTURE = threading.Lock()
"""Held while an upload is decoded: a large one takes up to 300 MB."""

KEPT_BYTES = 256 * 2**20
"""So much of all sessions' photos is kept, of which a telephone's takes 5 MB."""

GONE = "Your picture is no longer on the server, which keeps it for a while only; please give it again."

_UPLOAD = "upload-"  # how the id of an uploaded face begins
_NOT_WITHIN = "The square has to lie within the picture, and be {} to {} of its pixels wide."


@dataclass(frozen=True, eq=False)
class _Place:
    """What a session holds to find its photo again: as long as it does, the photo may be kept."""

    address: str


@dataclass(frozen=True, eq=False)
class Upload:
    """A session's own picture; the file itself is not kept.

    Attributes:
        id: Tells it from every other picture.
        place: Where the photo is, if it still is.
        square: What is cut out of it.
        face: The square, cut.
    """

    id: str
    place: _Place
    square: Square
    face: Face


class OwnPictures:
    """The photos of all sessions; they go with their sessions, or when others need the room.

    Args:
        max_bytes: How much room there is; see :func:`~denoiser.ui.server.kept.make_room`.
    """

    def __init__(self, max_bytes: int = KEPT_BYTES):
        self._max_bytes = max_bytes
        self._photos: WeakKeyDictionary[_Place, FacePhoto] = WeakKeyDictionary()  # the last used is last
        self._lock = threading.Lock()

    def receive(self, data: bytes, address: str) -> tuple[Upload, Payload, str]:
        """Load what is in an uploaded file.

        Args:
            data: The file.
            address: Where it came from; see :func:`~denoiser.ui.server.address.address_of`.

        Returns:
            The upload; what the page shows of it; and what there is to say about it, in a sentence.

        Raises:
            ImageError: It can't be used; one sentence.
        """
        with ONE_PICTURE:
            photo, overview = load_photo(data, FACE_SIZE)
        place = _Place(address)
        self._keep(place, photo)
        upload = Upload(secrets.token_hex(8), place, photo.square, _cut(photo, photo.square))
        return upload, _describe(photo, overview, upload.id), photo.note or "Cropped to the face."

    def cut(self, upload: Upload, sent: Mapping[str, object]) -> Upload | None:
        """Cut another square out of a picture; None where its photo is no longer there.

        Args:
            upload: The session's.
            sent: What came from the browser: ``top``, ``left`` and ``side`` in pixels of the photo.

        Raises:
            ImageError: It is no square within the picture; one sentence.
        """
        photo = self._find(upload.place)
        if photo is None:
            return None
        square = _parse_square(sent, photo)
        return Upload(upload.id, upload.place, square, _cut(photo, square))

    def _keep(self, place: _Place, photo: FacePhoto) -> None:
        with self._lock:
            self._photos[place] = photo
            taken = {place: (place.address, photo.nbytes) for place, photo in self._photos.items()}
            for too_much in make_room(taken, self._max_bytes):
                del self._photos[too_much]

    def _find(self, place: _Place) -> FacePhoto | None:
        with self._lock:
            photo = self._photos.pop(place, None)
            if photo is not None:
                self._photos[place] = photo
            return photo


def is_own(face: Face) -> bool:
    """Tell whether a face is of a visitor's own picture, and not a sample."""
    return face.id.startswith(_UPLOAD)


def _cut(photo: FacePhoto, square: Square) -> Face:
    # Another id for each: what was computed for one square is not true of another.
    return Face(
        f"{_UPLOAD}{secrets.token_hex(8)}",
        "Your picture",
        photo.cut(square, FACE_SIZE),
        detail=photo.cut_detail(square, MOST_DETAIL),
    )


def _describe(photo: FacePhoto, overview: Image, upload_id: str) -> Payload:
    height, width = photo.image.shape
    is_square = width == height
    several = len(photo.faces) > 1
    choices = [
        {"label": f"Face {number}" if several else "The face", "square": asdict(face), "face": True}
        for number, face in enumerate(photo.faces, start=1)
    ]
    whole = {"label": "The whole picture" if is_square else "The centre", "square": asdict(photo.centre)}
    return {
        "version": new_version(),
        "id": upload_id,
        "photo": base64.b64encode(to_jpeg(overview)).decode(),
        "width": width,
        "height": height,
        "scale": photo.size[1] / width,
        "smallest": photo.smallest_side,
        "face_size": FACE_SIZE,
        "square": asdict(photo.square),
        "choices": [*choices, whole],
    }


def _parse_square(sent: Mapping[str, object], photo: FacePhoto) -> Square:
    height, width = photo.image.shape
    smallest, largest = photo.smallest_side, min(height, width)
    top, left, side = (sent.get(name) for name in ("top", "left", "side"))
    if type(top) is int and type(left) is int and type(side) is int:  # no bool, which is one too
        fits = smallest <= side <= largest
        if fits and 0 <= top <= height - side and 0 <= left <= width - side:
            return Square(top, left, side)
    raise ImageError(_NOT_WITHIN.format(smallest, largest))
