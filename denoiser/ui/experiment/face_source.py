"""The sample faces that the page offers."""

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from huggingface_hub import is_offline_mode

from denoiser.faces.download import Dataset, DownloadError, cached_fer2013, fetch_fer2013, find_dataset
from denoiser.faces.fer2013 import FaceDataError, FaceSet, find_fer2013
from denoiser.faces.samples import (
    Sample,
    bundled_faces,
    get_sample,
    load_samples,
    pick_samples,
)
from denoiser.ui.experiment.own_picture import is_own
from denoiser.ui.experiment.run import Face

STRIP_LENGTH = 12

FIRST_SEED = 10  # FER2013 has pictures without a face; this strip of it has none

_BUNDLED = "the faces that ship with scikit-image"

_PAUSES = (10, 60, 600)

_GET_FER2013 = (
    "For FER2013, set FER2013_PATH to where it lies, or put it into data/fer2013, "
    "and start the app again."
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """The sample faces on offer.

    Attributes:
        faces: What to choose from.
        about: What they are, in words.
        coming: Whether FER2013 is still on its way, to take their place.
    """

    faces: FaceSet
    about: str
    coming: bool = False


class FaceSource:
    """Where the page's sample faces come from; they change once at most, when FER2013 has come.

    Args:
        offer: What there is from the start.
        dataset: What :meth:`fetch` fetches where ``offer`` says that FER2013 is coming.
        pauses: Seconds before each further try, where the Hub gives nothing.
    """

    def __init__(self, offer: Offer, dataset: Dataset | None = None, pauses: Sequence[float] = _PAUSES):
        self.first = offer
        self.offer = offer  # replaced as a whole: pages read it from other threads
        self._dataset = dataset
        self.pauses = pauses

    @property
    def has_changed(self) -> bool:
        """Whether other faces are on offer than at first."""
        return self.offer.faces is not self.first.faces

    def get(self, sample_id: str) -> Sample:
        """Return a face by its id: one on offer, or one of the bundled, which every machine has.

        Raises:
            FaceDataError: There is none.
        """
        try:
            return get_sample(self.offer.faces, sample_id)
        except FaceDataError:
            with contextlib.suppress(FaceDataError):
                return get_sample(self._bundled, sample_id)
            raise

    @cached_property
    def _bundled(self) -> FaceSet:
        """The bundled faces; they take half a second, which most pages can do without."""
        return self.first.faces if self.first.faces.split == "bundled" else bundled_faces()

    def fetch(self) -> None:
        """Fetch FER2013, if it is coming, and offer it; until then the offer says how far it is.

        That takes as long as the Hub does: it belongs in a thread of its own.
        """
        if self._dataset is None or not self.offer.coming:
            return
        for pause in (*self.pauses, None):
            try:
                folder = fetch_fer2013(self._dataset, ["test"], self._note_progress)
                self.offer = _hub_offer(self._dataset, folder)
                return
            except FaceDataError as error:
                if pause is None or not isinstance(error, DownloadError):
                    self.offer = Offer(self.first.faces, _failed_about(str(error)))
                    return
                about = _failed_about(f"{error} Another try follows.")
                self.offer = replace(self.first, about=about)
            except Exception:  # it would be lost in this thread, and the page would wait forever
                _log.exception("FER2013 can't be read.")
                self.offer = Offer(self.first.faces, f"FER2013 can't be read. {_GET_FER2013}")
                return
            time.sleep(pause)

    def _note_progress(self, done: int, total: int) -> None:
        share = f" ({done / 1e6:.1f} of {total / 1e6:.1f} MB)"
        self.offer = replace(self.first, about=_coming_about(share))


def find_faces() -> FaceSource:
    """Return the faces to offer: FER2013 where it is here, else others until it has come."""
    try:
        path = find_fer2013()
        if path is not None:
            faces = load_samples(path)
            return FaceSource(Offer(faces, f"{faces.source}: {len(faces):,} faces."))
    except FaceDataError as error:
        return FaceSource(Offer(bundled_faces(), f"{error} Until then: {_BUNDLED}."))
    return _find_on_hub()


def _find_on_hub() -> FaceSource:
    faces = bundled_faces()
    try:
        dataset = find_dataset()
        folder = None if dataset is None else cached_fer2013(dataset, ["test"])
        if dataset is not None and folder is not None:
            return FaceSource(_hub_offer(dataset, folder))
    except FaceDataError as error:
        return FaceSource(Offer(faces, _failed_about(str(error))))
    if dataset is None or is_offline_mode():
        return FaceSource(Offer(faces, f"{faces.source}. {_GET_FER2013}"))
    return FaceSource(Offer(faces, _coming_about(), coming=True), dataset)


def _hub_offer(dataset: Dataset, folder: Path) -> Offer:
    faces = load_samples(folder)
    where = f"{dataset.repo_id} on the Hugging Face Hub"
    return Offer(faces, f"{faces.source}: {len(faces):,} faces, from {where}.")


def _coming_about(progress: str = "") -> str:
    return f"FER2013 is being downloaded{progress}. Until then: {_BUNDLED}."


def _failed_about(why: str) -> str:
    return f"FER2013 can't be downloaded: {why} Until then: {_BUNDLED}. {_GET_FER2013}"


def first_face(faces: FaceSet) -> Face:
    """Return the face a new session starts with."""
    return sample_face(pick_samples(faces, None, FIRST_SEED, 1)[0])


def sample_id(face: Face) -> str | None:
    """Return which sample a face is; None for an uploaded one."""
    return None if is_own(face) else face.id


def sample_face(sample: Sample) -> Face:
    """Return a sample as a session's face."""
    return Face(sample.id, caption(sample), sample.image, detail=sample.detail)


def caption(sample: Sample) -> str:
    """Name a sample for people, with the emotion it shows."""
    return f"{sample.label}, {sample.emotion}" if sample.emotion else sample.label
