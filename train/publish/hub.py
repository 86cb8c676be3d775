"""What publishing anything on the Hugging Face Hub takes: a client, what is there, what can go wrong."""

import hashlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Literal, TypeVar

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import httpx, logging, tqdm

from denoiser.weights.hub import cap_timeouts, endpoint
from denoiser.weights.hub_errors import causes, trouble

PATIENCE_SECONDS = 15.0
"""How long the Hub may take for an answer. Uploads are tried six times, so a Hub that falls silent in
the middle of one is given up after two minutes."""

Tell = Callable[[str], None]
Content = Path | bytes
AnyContent = TypeVar("AnyContent", bound=Content)
RepoType = Literal["model", "space"]

_NEW = {"model": ("new repositories", "push"), "space": ("a new Space", "publish")}


class PushError(RuntimeError):
    """Nothing more can be published; the message says why, and how to go on."""


# InvalidURL is no HTTPError, and httpx's errors are no OSErrors.
_KNOWN = (PushError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError)
_FAILURES = (*_KNOWN, RuntimeError)


def log_in(namespace: str) -> HfApi:
    """Return a client that may write to a namespace, and waits for no answer longer than it should.

    Raises:
        PushError: There is no token, or it is for something else.
    """
    # Xet, the client's other way to upload, makes its own connections, which no timeout from here
    # reaches: with its storage down it was measured to hang for minutes, and with a silent one for
    # good. Files of 4 MB gain nothing by it.
    constants.HF_HUB_DISABLE_XET = True
    cap_timeouts(PATIENCE_SECONDS, on_response=_stop_at_a_limit)
    logging.set_verbosity_error()  # its warnings name signed addresses of uploads
    token = get_token()
    if token is None:
        raise PushError("There is no token for the Hub: set HF_TOKEN, or run `hf auth login`")
    api = HfApi(endpoint=endpoint(), token=token)
    me = api.whoami()
    role = (me.get("auth", {}).get("accessToken") or {}).get("role")
    names = [me["name"], *(org["name"] for org in me.get("orgs", []))]
    if role == "read":
        raise PushError(
            f"The token of {me['name']} may only read; make one that may write at "
            f"{endpoint()}/settings/tokens"
        )
    # A fine-grained token doesn't always name the organizations it is for.
    if role != "fineGrained" and namespace.casefold() not in map(str.casefold, names):
        raise PushError(f"The token is for {', '.join(names)}, not for {namespace}")
    return api


def find_repo(api: HfApi, repo_id: str, repo_type: RepoType, private: bool) -> Any:
    """Return what the Hub says of a repository; None where there is none.

    Raises:
        PushError: It is public, and was to be private.
    """
    try:
        info = api.repo_info(repo_id, repo_type=repo_type)
    except RepositoryNotFoundError:
        return None
    if private and not info.private:
        new, command = _NEW[repo_type]
        raise PushError(
            f"{repo_id} exists and is public, and --private is for {new}: make it private in its "
            f"settings, {address(repo_id, repo_type)}/settings, or {command} without --private"
        )
    return info


def list_tree(api: HfApi, repo_id: str, revision: str, repo_type: RepoType) -> dict[str, RepoFile]:
    """Return the files of a revision, by path."""
    entries = api.list_repo_tree(repo_id, recursive=True, revision=revision, repo_type=repo_type)
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def changed(there: Mapping[str, RepoFile], contents: Mapping[str, AnyContent]) -> dict[str, AnyContent]:
    """Return those contents that a revision doesn't have, or has otherwise."""
    return {
        name: content
        for name, content in contents.items()
        if name not in there or not _is_same(there[name], content)
    }


def _is_same(entry: RepoFile, content: Content) -> bool:
    """Say whether a file on the Hub has this content, by its hash."""
    data = content if isinstance(content, bytes) else content.read_bytes()
    if entry.lfs is not None:
        return hashlib.sha256(data).hexdigest() == entry.lfs.sha256
    git = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return git.hexdigest() == entry.blob_id


def _stop_at_a_limit(response: httpx.Response) -> None:
    """Raise on 429: the client would wait as long as the Hub asks, five times."""
    if response.status_code == 429:
        raise PushError(_say_limit(response))


def _say_limit(response: httpx.Response) -> str:
    wait = response.headers.get("Retry-After")
    after = f"in {wait} seconds" if wait and wait.isdigit() else "in some minutes"
    return f"The Hub takes no more requests for now (429): try again {after}"


@contextmanager
def explained(namespace: str, command: str) -> Iterator[None]:
    """Turn whatever the client raises into a sentence, with the command to go on.

    Raises:
        PushError: That sentence.
    """
    try:
        yield
    except _FAILURES as error:
        # The client wraps what stops the upload of a large file in a RuntimeError.
        cause = next((c for c in causes(error) if isinstance(c, _KNOWN)), error)
        sentence = str(cause) if isinstance(cause, PushError) else _explain(cause, namespace)
        _end_bars()
        raise PushError(f"{sentence}. To go on: {command}") from None


def _end_bars() -> None:
    """End the progress bars that a failure left open, or the next line is put behind one."""
    for bar in list(getattr(tqdm, "_instances", ())):
        bar.close()


def _explain(error: BaseException, namespace: str) -> str:
    hub = endpoint()
    if isinstance(error, HfHubHTTPError):
        return _explain_status(error, namespace)
    match trouble(error):
        case "offline":
            return "HF_HUB_OFFLINE is set, so nothing can be pushed"
        case "timeout":
            return f"The Hub at {hub} did not answer within {PATIENCE_SECONDS:.0f} seconds"
        case "no host":
            return f"The Hub at {hub} can't be reached: no such host is known"
        case "refused":
            return f"The Hub at {hub} can't be reached: the connection is refused"
        case "address":
            return f"HF_ENDPOINT is not the address of a Hub: {hub}"
        case "broken":
            return f"The connection to the Hub at {hub} broke off ({type(error).__name__})"
    if isinstance(error, JSONDecodeError):
        return f"What answers at {hub} is not a Hugging Face Hub"
    return " ".join(str(error).split()).rstrip(".")


def _explain_status(error: HfHubHTTPError, namespace: str) -> str:
    status = error.response.status_code
    reason = " ".join((error.server_message or error.response.reason_phrase).split()).rstrip(".")
    if status == 401:
        place = (
            "in HF_TOKEN is wrong or has expired"
            if os.environ.get("HF_TOKEN")
            else "that is stored here is wrong or has expired; `hf auth login --force` replaces it"
        )
        return f"The Hub doesn't accept the token (401): the one {place}"
    if status == 403:
        return (
            f"The token may not write to {namespace} (403: {reason}); make one that may at "
            f"{endpoint()}/settings/tokens"
        )
    if status in (409, 412):
        return f"Somebody else changed the repository in the meantime ({status}: {reason})"
    if status == 429:
        return _say_limit(error.response)
    if status >= 500:
        return f"The Hub has trouble of its own ({status}: {reason})"
    return f"The Hub refuses ({status}: {reason})"


def say_command(*parts: str, private: bool, dry_run: bool, options: Mapping[str, object]) -> str:
    """Write a command that goes on: its first parts, its switches, and the options that were given."""
    switches = {"--private": private, "--dry-run": dry_run}
    words = ["python", "-m", "train", *parts, *(name for name, is_on in switches.items() if is_on)]
    for name, value in options.items():
        words += [] if value is None else [name, str(value)]
    return shlex.join(words)


def address(repo_id: str, repo_type: RepoType) -> str:
    """Return where a browser finds it."""
    return f"{endpoint()}/{'spaces/' if repo_type == 'space' else ''}{repo_id}"


def visibility(private: bool) -> str:
    """Name it for a person."""
    return "private" if private else "public"


def megabytes(contents: Mapping[str, Content]) -> str:
    """Say how large files are together."""
    sizes = (len(c) if isinstance(c, bytes) else c.stat().st_size for c in contents.values())
    return f"{sum(sizes) / 1e6:.1f} MB"
