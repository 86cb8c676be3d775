"""The one place that downloads from the Hugging Face Hub.

Files go into the Hub's own cache (``HF_HUB_CACHE``), so ``hf cache`` lists and removes them. Here a file
is checked before it gets its name in the cache, and again whenever it is taken from there.

Why not ``hf_hub_download`` (huggingface_hub 2.4.0 against ``tests/hub``, 2026-11-26; in brackets
:func:`fetch_file`): it

- says after 395 s that the Hub is silent, after 94 s where no request may wait longer than 10 s, for it
  asks seven times (once: 3 s), and after 24 s that it answers 500 or 503 (at once);
- sleeps five times for as long as a 429 says: 106 s in all at ``Retry-After: 20`` (returns at once);
- needs 66 s to give up a download that stalls (33 s), and doesn't go on after a TCP reset;
- returns a file with a flipped byte, the next time too. ``HfApi.verify_repo_checksums`` finds it, but
  asks the Hub for the list of files, for which it still waited after 100 s (what is cached: no request);
- reads 10 MB at a time: no weights here would show progress, and a slow download is not noticed.

Built on it, with the probe before and the hash after it made here, no wait at 429 and capped timeouts,
this module was at most 37 lines shorter, and 24 of the 109 tests in ``tests/test_hub_pull.py`` failed:
16 because it leaves ``CACHEDIR.TAG`` and lock files, ``test_progress_ends_with_the_whole_file`` and
``test_a_download_that_breaks_off_goes_on[reset]`` as above, and six for how they look at tokens, links
and the log, or fill the disk.
"""

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import (
    HfApi,
    constants,
    get_hf_file_metadata,
    get_session,
    get_token,
    hf_hub_url,
    is_offline_mode,
)
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RevisionNotFoundError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import (
    build_hf_headers,
    hf_raise_for_status,
    httpx,
    set_client_factory,
    validate_repo_id,
)

from denoiser.weights.hub_errors import FAILURES, HubError, UnusableError, explain

RepoType = Literal["model", "dataset"]
Progress = Callable[[int, int], None]

WEIGHTS_VERSION = "v1"
"""The tag that ``train push`` sets and the app reads; a new one once old code can't load the weights."""

PROBE_SECONDS = 3.0
"""How long the Hub may take to say whether it has a file."""

STALL_SECONDS = 10.0
"""How long a download may stand still."""

SLOWEST = 20_000
"""Bytes per second; a download slower than this, plus a minute, is given up."""

ATTEMPTS = 3
"""How often a download that broke off goes on, each time from where it was."""

PAUSE_SECONDS = 1.0
"""Wait between two attempts."""

CAP_SECONDS = 30.0
"""The longest that any request waits for the Hub once :func:`cap_timeouts` was called."""

_CHUNK = 64 * 1024
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # Git's of a small file, SHA-256 of a large one


def fetch_file(
    repo_id: str,
    filename: str,
    *,
    revision: str,
    repo_type: RepoType = "model",
    sha256: str | None = None,
    max_bytes: int | None = None,
    on_progress: Progress | None = None,
    stranger_cache: Path | None = None,
) -> Path:
    """Return a file of a repository, from the cache if it is there and good, else from the Hub.

    A cached file costs no request. A branch or tag is looked up once and then stands for that commit;
    ``hf cache rm`` has it looked up again. What arrives damaged is thrown away and fetched once more.

    Args:
        repo_id: Such as ``"NAME/fer2013-patchgan"``.
        filename: Path in the repository.
        revision: A commit, tag or branch.
        repo_type: ``"model"`` or ``"dataset"``.
        sha256: What the file's SHA-256 has to be; None relies on the hash that the Hub announces.
        max_bytes: Refuse a larger file.
        on_progress: Called with the bytes so far and in all.
        stranger_cache: A folder to use in place of the Hub's cache, for what a stranger asks for: no
            token is sent then, as they are to have what everybody may have.

    Returns:
        Where it lies in the cache: not to be written to.

    Raises:
        HubError: It can't be had; one sentence.
    """
    try:
        validate_repo_id(repo_id)
        file = _File(repo_id, filename, revision, repo_type, sha256, stranger_cache)
        return file.get(max_bytes, on_progress)
    except HubError:
        raise
    except FAILURES as error:
        raise explain(error, repo_id, filename, revision) from None


def cached_file(
    repo_id: str, filename: str, *, revision: str, repo_type: RepoType = "model"
) -> Path | None:
    """Return a file if it is in the cache and good, else None; asks the Hub for nothing.

    Args:
        repo_id: As for :func:`fetch_file`.
        filename: Likewise.
        revision: Likewise.
        repo_type: Likewise.
    """
    try:
        validate_repo_id(repo_id)
        return _File(repo_id, filename, revision, repo_type, None).cached()
    except (OSError, ValueError, HubError):
        return None


def cached_folder(repo_id: str, *, revision: str, repo_type: RepoType = "model") -> Path | None:
    """Return where a repository's files lie in the cache, if any do; asks the Hub for nothing.

    What lies there was not checked: ask :func:`cached_file` for each file.

    Args:
        repo_id: As for :func:`fetch_file`.
        revision: Likewise.
        repo_type: Likewise.
    """
    try:
        validate_repo_id(repo_id)
        file = _File(repo_id, "-", revision, repo_type, None)
    except (ValueError, HubError):
        return None
    commit = file.commit()
    folder = None if commit is None else file.pointer(commit).parent
    return folder if folder is not None and folder.is_dir() else None


def list_files(repo_id: str, *, revision: str, repo_type: RepoType = "model") -> list[str]:
    """Ask the Hub which files a repository has.

    Args:
        repo_id: As for :func:`fetch_file`.
        revision: Likewise; one that was looked up before stands for the same commit.
        repo_type: Likewise.

    Raises:
        HubError: It does not say; one sentence.
    """
    try:
        validate_repo_id(repo_id)
        commit = _File(repo_id, "-", revision, repo_type, None).commit()
        ask = partial(
            HfApi(endpoint=endpoint()).repo_info,
            repo_id,
            repo_type=repo_type,
            revision=commit or revision,
            timeout=STALL_SECONDS,
        )
        return [file.rfilename for file in _with_any_token(ask)[0].siblings or ()]
    except HubError:
        raise
    except FAILURES as error:
        raise explain(error, repo_id, "the list of files", revision) from None


def cap_timeouts(seconds: float = CAP_SECONDS, on_response: Callable[[Any], None] | None = None) -> None:
    """Let no request of ``huggingface_hub`` in this process wait longer for the Hub than this.

    Without it ``whoami``, ``create_repo`` and others wait forever for a Hub that accepts a connection
    and says nothing.

    Args:
        seconds: For connecting, and between any two bytes.
        on_response: Called with every response; what it raises, the client does not catch.
    """
    set_client_factory(partial(_create_client, seconds, on_response))


def endpoint() -> str:
    """Return the Hub's address: ``HF_ENDPOINT`` or the public one."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _create_client(seconds: float, on_response: Callable[[Any], None] | None) -> Any:
    def prepare(request: Any) -> None:
        if is_offline_mode():  # the client leaves that to its factory
            raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
        given = request.extensions.get("timeout", {})
        request.extensions["timeout"] = {
            phase: min(seconds, given.get(phase) or seconds)
            for phase in ("connect", "read", "write", "pool")
        }

    hooks: dict[str, list[Callable[[Any], None]]] = {"request": [prepare]}
    if on_response is not None:
        hooks["response"] = [on_response]
    return httpx.Client(event_hooks=hooks, follow_redirects=True, timeout=None)


class _File:
    """One file of one revision, in the cache's layout: ``blobs`` by hash, ``snapshots`` by commit."""

    def __init__(
        self,
        repo_id: str,
        filename: str,
        revision: str,
        repo_type: RepoType,
        sha256: str | None,
        stranger_cache: Path | None = None,
    ):
        for name in (filename, revision):
            if not name or Path(name).is_absolute() or ".." in Path(name).parts:
                raise HubError(f"{name!r} is neither a file nor a revision on the Hub.")
        self.repo_id = repo_id
        self.filename = filename
        self.revision = revision
        self.repo_type = repo_type
        self.sha256 = sha256
        self.for_stranger = stranger_cache is not None
        self.storage = (stranger_cache or Path(constants.HF_HUB_CACHE)) / repo_folder_name(
            repo_id=repo_id, repo_type=repo_type
        )
        self.blobs = self.storage / "blobs"

    def get(self, max_bytes: int | None, on_progress: Progress | None) -> Path:
        cached = self.cached()
        if cached is not None:
            return cached
        commit, etag, size, token = self.probe()
        if self.sha256 is not None and len(etag) == 64 and etag != self.sha256:
            raise UnusableError("it is another file than the one expected")
        if max_bytes is not None and size > max_bytes:
            raise UnusableError(f"it is too large: {size:,} bytes, of at most {max_bytes:,} expected")
        blob = self.blobs / etag
        if not (blob.is_file() and self.is_good(blob)):
            self.download(commit, etag, size, token, on_progress)
        pointer = self.pointer(commit)
        _link(blob, pointer)
        if self.revision != commit:
            _write_whole(self.ref, commit)
        return pointer

    @property
    def ref(self) -> Path:
        """The file that says which commit a branch or tag stands for."""
        return self.storage / "refs" / self.revision

    def pointer(self, commit: str) -> Path:
        return self.storage / "snapshots" / commit / self.filename

    def commit(self) -> str | None:
        """Return the commit this revision stands for, if that is known here."""
        if _COMMIT.fullmatch(self.revision):
            return self.revision
        try:
            found = self.ref.read_text(encoding="utf-8").strip()
        except OSError:
            return None
        return found if _COMMIT.fullmatch(found) else None

    def cached(self) -> Path | None:
        """Return the cached file if it is good; throw it away if it is not."""
        commit = self.commit()
        if commit is None:
            return None
        pointer = self.pointer(commit)
        if pointer.is_file():
            if self.is_good(pointer):
                return pointer
            _discard(pointer, self.blobs)
        return None

    def is_good(self, path: Path) -> bool:
        """Say whether a file's content is what its name among the blobs says, and what is asked for."""
        hashes = _hashes(path)
        if self.sha256 is not None:
            return self.sha256 in hashes
        # Not by the link's target: where the cache can't have links there is none.
        return any((self.blobs / name).exists() for name in hashes)

    def probe(self) -> tuple[str, str, int, bool | None]:
        """Ask the Hub for the file's commit, hash and size, and find out whether to send a token."""
        commit = self.commit()
        try:
            found, token = self._ask(commit or self.revision)
        except RevisionNotFoundError:
            if commit is None or commit == self.revision:
                raise
            # The tag was set anew, and its old commit is gone.
            self.ref.unlink(missing_ok=True)
            found, token = self._ask(self.revision)
        if not (found.commit_hash and _COMMIT.fullmatch(found.commit_hash)):
            raise UnusableError("what answers in its place is not a Hugging Face Hub")
        if not (found.etag and _HASH.fullmatch(found.etag)) or found.size is None:
            raise UnusableError("the Hub does not say what its hash and size have to be")
        return found.commit_hash, found.etag, found.size, token

    def _ask(self, revision: str) -> tuple[Any, bool | None]:
        ask = partial(
            get_hf_file_metadata, self.url(revision), timeout=PROBE_SECONDS, endpoint=endpoint()
        )
        return (ask(token=False), False) if self.for_stranger else _with_any_token(ask)

    def url(self, revision: str) -> str:
        return hf_hub_url(
            self.repo_id,
            self.filename,
            repo_type=self.repo_type,
            revision=revision,
            endpoint=endpoint(),
        )

    def download(
        self, commit: str, etag: str, size: int, token: bool | None, on_progress: Progress | None
    ) -> None:
        """Fetch the blob; it gets its name once it has proved good."""
        self.blobs.mkdir(parents=True, exist_ok=True)
        part = self.blobs / f"{etag}.{secrets.token_hex(4)}.incomplete"
        headers = {**build_hf_headers(token=token), "Accept-Encoding": "identity"}
        wanted = self.sha256 or etag
        try:
            for last in (False, True):
                _download(self.url(commit), headers, part, size, on_progress)
                if wanted in _hashes(part):
                    os.replace(part, self.blobs / etag)
                    return
                part.unlink()
                if last:
                    raise UnusableError("it arrived damaged twice and was thrown away")
        finally:
            part.unlink(missing_ok=True)


def _with_any_token(ask: Callable[..., Any]) -> tuple[Any, bool | None]:
    """Ask with the token that is set, if any, and where that is refused without one.

    A token that has run out is refused even where none is needed.

    Returns:
        The answer, and the ``token`` argument it took.
    """
    try:
        return ask(token=None), None
    except HfHubHTTPError as error:
        if error.response.status_code not in (401, 403) or get_token() is None:
            raise
        try:
            return ask(token=False), False
        except HfHubHTTPError:
            raise error from None


def _download(
    url: str, headers: dict[str, str], part: Path, size: int, on_progress: Progress | None
) -> None:
    """Download into a file; go on where it broke off."""
    deadline = time.monotonic() + 60 + size / SLOWEST
    part.touch()
    for left in reversed(range(ATTEMPTS)):
        try:
            for done in _receive(url, headers, part):
                if done > size:
                    raise UnusableError(f"it is larger than the {size:,} bytes announced")
                if time.monotonic() > deadline:
                    raise UnusableError("the download is too slow")
                if on_progress is not None:
                    on_progress(done, size)
            done = part.stat().st_size
            if done == size:
                return
            if not left:
                raise UnusableError(f"it broke off after {done:,} of {size:,} bytes")
        except (httpx.TransportError, RuntimeError):
            if not left:
                raise
        time.sleep(PAUSE_SECONDS)


def _receive(url: str, headers: dict[str, str], part: Path) -> Iterator[int]:
    """Append to a file what it lacks; yield its size after each piece."""
    start = part.stat().st_size
    if start:
        headers = {**headers, "Range": f"bytes={start}-"}
    timeout = httpx.Timeout(PROBE_SECONDS, read=STALL_SECONDS)
    with (
        get_session().stream(
            "GET", url, headers=headers, timeout=timeout, follow_redirects=True
        ) as response,
        part.open("ab") as file,
    ):
        hf_raise_for_status(response)
        if start and response.status_code != 206:  # it sends everything again
            file.truncate(0)
            file.seek(0)
        for chunk in response.iter_bytes(_CHUNK):
            file.write(chunk)
            file.flush()  # what was written counts if the next piece never comes
            yield file.tell()


def _hashes(path: Path) -> tuple[str, str]:
    """Return a file's SHA-256, and the SHA-1 under which Git would store it."""
    large = hashlib.sha256()
    small = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            large.update(chunk)
            small.update(chunk)
    return large.hexdigest(), small.hexdigest()


def _link(blob: Path, pointer: Path) -> None:
    pointer.parent.mkdir(parents=True, exist_ok=True)
    if pointer.is_file():
        return
    pointer.unlink(missing_ok=True)  # a link whose blob was removed
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except FileExistsError:  # another process was faster
        return
    except OSError:  # no links here
        part = pointer.with_name(f"{pointer.name}.{secrets.token_hex(4)}.incomplete")
        shutil.copyfile(blob, part)
        os.replace(part, pointer)


def _discard(pointer: Path, blobs: Path) -> None:
    """Delete a cached file and what it links to."""
    if pointer.is_symlink():
        (blobs / Path(os.readlink(pointer)).name).unlink(missing_ok=True)
    pointer.unlink(missing_ok=True)


def _write_whole(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.incomplete")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
