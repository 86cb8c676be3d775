"""What can go wrong with the Hub, in sentences for people."""

import errno
import socket
from collections.abc import Iterator, Mapping
from typing import Literal

from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx


class HubError(RuntimeError):
    """A file can't be had from the Hub; the message is one sentence for a person.

    Attributes:
        retry_after: Seconds that the Hub asked to wait before the next try; 0 where it did not say.
    """

    def __init__(self, message: str, retry_after: float = 0.0):
        super().__init__(message)
        self.retry_after = retry_after


class UnusableError(Exception):
    """What the Hub has or sends can't be used; the message says why."""


# InvalidURL is no HTTPError, and httpx's errors are no OSErrors. A client that another thread closed is
# a RuntimeError.
FAILURES = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError, UnusableError)
"""What talking to the Hub and writing to its cache can raise."""


Trouble = Literal["offline", "timeout", "no host", "refused", "address", "broken"]

_TROUBLES: Mapping[Trouble, str] = {
    "offline": "HF_HUB_OFFLINE is set and it is not in the cache",
    "timeout": "the Hub does not answer in time",
    "no host": "the Hub's name can't be resolved (is there a network?)",
    "refused": "the connection is refused",
    "address": "HF_ENDPOINT is not the address of a Hub",
    "broken": "the connection broke off",
}


def trouble(error: BaseException) -> Trouble | None:
    """Tell what is wrong with the connection to the Hub; None where it is something else.

    What the Hub itself answered is an HTTPError too; that is to be told apart before.
    """
    if isinstance(error, OfflineModeIsEnabled):
        return "offline"
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    if isinstance(error, httpx.ConnectError):
        return "no host" if any(isinstance(e, socket.gaierror) for e in causes(error)) else "refused"
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return "address"
    return "broken" if isinstance(error, httpx.HTTPError) else None


def explain(error: Exception, repo_id: str, filename: str, revision: str) -> HubError:
    """Turn whatever went wrong into one sentence, without an address, a path or a token in it.

    Args:
        error: One of :data:`FAILURES`.
        repo_id: The repository that was asked.
        filename: What was asked for, as the sentence's first words.
        revision: At which commit, tag or branch.
    """
    reason, retry_after = _reason(error, repo_id, filename, revision)
    return HubError(f"{filename} of {repo_id} can't be had from the Hub: {reason}.", retry_after)


def _reason(error: Exception, repo_id: str, filename: str, revision: str) -> tuple[str, float]:
    if isinstance(error, HFValidationError):
        return "that is not a valid name of a repository", 0
    if isinstance(error, HfHubHTTPError):
        return _http_reason(error, revision), _retry_after(error)
    why = trouble(error)
    if why is not None:
        return _TROUBLES[why], 0
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return "the disk with the cache is full", 0
        return "the cache can't be written", 0
    if isinstance(error, UnusableError):
        return str(error), 0
    return "the Hub's client failed", 0


def _http_reason(error: HfHubHTTPError, revision: str) -> str:
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return "its owner has to grant access first (it is gated)"
    if isinstance(error, RevisionNotFoundError):
        return f"it has no revision {revision!r}"
    if isinstance(error, EntryNotFoundError):
        return "there is no such file"
    if status == 401:
        return "there is no such repository, or it is private and needs a valid HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        return "there is no such repository"
    if status == 403:
        return "access is forbidden"
    if status == 429:
        seconds = _retry_after(error)
        wait = f"; it asks to wait {seconds:.0f} seconds" if seconds else ""
        return f"the Hub has had too many requests from here{wait}"
    if status >= 500:
        return f"the Hub has a problem of its own (HTTP {status})"
    return f"the Hub refuses (HTTP {status})"


def _retry_after(error: HfHubHTTPError) -> float:
    value = error.response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
