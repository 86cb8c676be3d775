"""Publishing the models: a repository on the Hugging Face Hub for each, and a collection of them.

Everything that is there is looked at first; only then is anything changed. So a refusal changes nothing,
and a push that broke off goes on when it is run again.
"""

import hashlib
import os
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import TypeVar

from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import httpx, logging, tqdm, validate_repo_id

from denoiser.analysis.results import HISTORY_NAME
from denoiser.architectures.loading import (
    DISCRIMINATOR_CONFIG_NAME,
    DISCRIMINATOR_NAME,
    load_discriminator,
    load_network,
)
from denoiser.weights.checkpoint import CONFIG_NAME, MODEL_NAME, WEIGHTS, hub_repo_id
from denoiser.weights.hub import WEIGHTS_VERSION, cap_timeouts, endpoint
from denoiser.weights.hub_errors import causes
from train.files import CARD_NAME, METRICS_NAME
from train.publish.cards import FiguresError, make_card

COLLECTION = "FER2013 face denoisers"
DESCRIPTION = "Networks that restore 48x48 faces, from a lab that shows why one denoiser beats another."

PATIENCE_SECONDS = 15.0
"""How long the Hub may take for an answer. Uploads are tried six times, so a Hub that falls silent in
the middle of one is given up after two minutes."""

_DISCRIMINATOR = (DISCRIMINATOR_CONFIG_NAME, DISCRIMINATOR_NAME)  # only a GAN has one
_LOADED = (CONFIG_NAME, MODEL_NAME, *_DISCRIMINATOR)  # what a version stands for
_COPIED = (CONFIG_NAME, HISTORY_NAME, METRICS_NAME, MODEL_NAME)

Tell = Callable[[str], None]
Content = Path | bytes
AnyContent = TypeVar("AnyContent", bound=Content)


class PushError(RuntimeError):
    """Nothing more can be published; the message says why, and how to go on."""


# InvalidURL is no HTTPError, and httpx's errors are no OSErrors.
_KNOWN = (PushError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError)
_FAILURES = (*_KNOWN, RuntimeError)


@dataclass(frozen=True)
class Plan:
    """What there is to do for one model.

    Attributes:
        repo_id: Its repository.
        create: Whether that has to be made.
        private: Whether that is, or will be, for its owner only.
        files: What to upload in one commit, by path; empty if all of it is there.
        parent: Commit to put it on; None for a new repository.
        tag: Whether the version has to be tagged.
    """

    repo_id: str
    create: bool
    private: bool
    files: Mapping[str, Content]
    parent: str | None
    tag: bool

    def describe(self) -> str:
        """Say it for a person, on one line."""
        steps = [f"create it, {visibility(self.private)}"] if self.create else []
        if self.files:
            size = sum(_size(content) for content in self.files.values())
            steps.append(f"upload {', '.join(sorted(self.files))} ({size / 1e6:.1f} MB) in one commit")
        if self.tag:
            steps.append(f"tag {WEIGHTS_VERSION}")
        if not steps:
            return f"{self.repo_id}: is published as {WEIGHTS_VERSION}, nothing to do"
        return f"{self.repo_id}: {', '.join(steps)}"


@dataclass(frozen=True)
class CollectionPlan:
    """What there is to do for the collection.

    Attributes:
        slug: Its id; None if it has to be made.
        private: Whether to make it for its owner only.
        missing: Repositories to add.
    """

    slug: str | None
    private: bool
    missing: tuple[str, ...]

    def describe(self) -> str:
        """Say it for a person, on one line."""
        steps = [f"create it, {visibility(self.private)}"] if self.slug is None else []
        if self.missing:
            steps.append(f"add {', '.join(repo_id.partition('/')[2] for repo_id in self.missing)}")
        return f'Collection "{COLLECTION}": {", ".join(steps) or "is complete, nothing to do"}'


def push(
    namespace: str,
    models: Sequence[str] | None = None,
    private: bool = False,
    dry_run: bool = False,
    weights: Path = WEIGHTS,
    tell: Tell = print,
) -> None:
    """Publish models as ``NAMESPACE/fer2013-ID``, tagged with this code's version of the weights.

    Args:
        namespace: User or organization on the Hub.
        models: Ids; None takes all in the folder.
        private: Make new repositories, and a new collection, for their owner only.
        dry_run: Look, and say what would be done, and do nothing.
        weights: Folder with one folder for each model.
        tell: Gets a line of progress at a time.

    Raises:
        PushError: It can't be done, or not now; the message says how to go on.
        WeightsError: A model is missing or damaged.
    """
    ids = _ids(namespace, models, weights)
    contents = {model_id: _contents(model_id, namespace, weights) for model_id in ids}
    with explained(namespace, _command(namespace, models, private, dry_run, weights)):
        api = log_in(namespace)
        plans = [
            _plan(api, hub_repo_id(namespace, model_id), contents[model_id], private) for model_id in ids
        ]
        collection = _plan_collection(api, namespace, [plan.repo_id for plan in plans], private)
        for number, plan in enumerate(plans, 1):
            tell(f"[{number}/{len(plans)}] {plan.describe()}")
            if not dry_run:
                _publish(api, plan, tell)
        tell(collection.describe())
        if dry_run:
            tell("This was a dry run: nothing was changed.")
        else:
            _collect(api, namespace, collection, tell)


def _ids(namespace: str, models: Sequence[str] | None, weights: Path) -> list[str]:
    found = sorted(path.parent.name for path in weights.glob(f"*/{CONFIG_NAME}"))
    ids = list(dict.fromkeys(models)) if models else found
    if not ids:
        raise PushError(f"There are no models in {weights}; `python -m train fit` makes them")
    unknown = [model_id for model_id in ids if model_id not in found]
    if unknown:
        raise PushError(
            f"There is no model {', '.join(unknown)} in {weights}; choose of {', '.join(found)}"
        )
    try:
        for model_id in ids:
            validate_repo_id(hub_repo_id(namespace, model_id))
    except HFValidationError:
        raise PushError(
            f"{hub_repo_id(namespace, model_id)!r} can't be a repository's id on the Hub: namespace and "
            "model are made of letters, digits, '-', '_' and '.', not '--' or '..', at most 96 in all"
        ) from None
    return ids


def _contents(model_id: str, namespace: str, weights: Path) -> dict[str, Content]:
    """Return what a repository holds: the model's folder, its card with the repository's name."""
    load_network(model_id, weights)  # what can't be loaded is not published
    folder = weights / model_id
    has_discriminator = any((folder / name).exists() for name in _DISCRIMINATOR)
    if has_discriminator:
        load_discriminator(model_id, weights)
    copied = (*_COPIED, *_DISCRIMINATOR) if has_discriminator else _COPIED
    missing = [name for name in copied if not (folder / name).is_file()]
    if missing:
        raise PushError(
            f"The model {model_id!r} has no {' and no '.join(missing)}; `python -m train fit` and "
            "`python -m train evaluate` write them"
        )
    try:
        card = make_card(model_id, weights, namespace).encode()
    except FiguresError as error:
        raise PushError(str(error)) from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise PushError(
            f"The {METRICS_NAME} or the {HISTORY_NAME} of the model {model_id!r} is damaged"
        ) from None
    # The weights as a path, for which the client shows a progress bar.
    return {CARD_NAME: card} | {name: folder / name for name in copied}


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


def _plan(api: HfApi, repo_id: str, contents: Mapping[str, Content], private: bool) -> Plan:
    try:
        info = api.model_info(repo_id)
    except RepositoryNotFoundError:
        return Plan(repo_id, True, private, contents, None, True)
    if private and not info.private:
        raise PushError(
            f"{repo_id} exists and is public, and --private is for new repositories: make it private in "
            f"its settings, {endpoint()}/{repo_id}/settings, or push without --private"
        )
    tags = [tag.name for tag in api.list_repo_refs(repo_id).tags]
    tagged = WEIGHTS_VERSION in tags
    if tagged:
        loaded = {name: content for name, content in contents.items() if name in _LOADED}
        others = _changed(api, repo_id, WEIGHTS_VERSION, loaded)
        if others:
            raise PushError(
                f"{repo_id} is published as {WEIGHTS_VERSION} with another "
                f"{' and '.join(sorted(others))}, and a published version is never changed: raise "
                "WEIGHTS_VERSION in denoiser/weights/hub.py, and push again"
            )
    head = info.sha or constants.DEFAULT_REVISION
    return Plan(
        repo_id, False, bool(info.private), _changed(api, repo_id, head, contents), head, not tagged
    )


def _changed(
    api: HfApi, repo_id: str, revision: str, contents: Mapping[str, Content]
) -> dict[str, Content]:
    """Return what a revision doesn't have, or has otherwise."""
    return changed(list_tree(api, repo_id, revision), contents)


def list_tree(api: HfApi, repo_id: str, revision: str, repo_type: str = "model") -> dict[str, RepoFile]:
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


def _publish(api: HfApi, plan: Plan, tell: Tell) -> None:
    if plan.create:
        api.create_repo(plan.repo_id, private=plan.private)
    revision = plan.parent
    if plan.files:
        message = f"Version {WEIGHTS_VERSION}" if plan.tag else f"Update {', '.join(sorted(plan.files))}"
        commit = api.create_commit(
            plan.repo_id,
            [CommitOperationAdd(name, content) for name, content in sorted(plan.files.items())],
            commit_message=message,
            parent_commit=plan.parent,  # who commits in between is not overwritten
        )
        revision = commit.oid
    if plan.tag:
        api.create_tag(plan.repo_id, tag=WEIGHTS_VERSION, revision=revision)
    if plan.create or plan.files or plan.tag:
        tell(f"      {endpoint()}/{plan.repo_id}")


def _plan_collection(
    api: HfApi, namespace: str, repo_ids: Sequence[str], private: bool
) -> CollectionPlan:
    for collection in api.list_collections(owner=namespace):
        if collection.title == COLLECTION:
            # The list shortens a collection to four items.
            items = {item.item_id for item in api.get_collection(collection.slug).items}
            missing = tuple(repo_id for repo_id in repo_ids if repo_id not in items)
            return CollectionPlan(collection.slug, collection.private, missing)
    return CollectionPlan(None, private, tuple(repo_ids))


def _collect(api: HfApi, namespace: str, plan: CollectionPlan, tell: Tell) -> None:
    slug = plan.slug
    if slug is None:
        slug = api.create_collection(
            COLLECTION,
            namespace=namespace,
            description=DESCRIPTION,
            private=plan.private,
            exists_ok=True,
        ).slug
    for repo_id in plan.missing:
        api.add_collection_item(slug, repo_id, "model", exists_ok=True)
    if plan.missing:
        tell(f"      {endpoint()}/collections/{slug}")


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
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so nothing can be pushed"
    if isinstance(error, HfHubHTTPError):
        return _explain_status(error, namespace)
    if isinstance(error, httpx.TimeoutException):
        return f"The Hub at {hub} did not answer within {PATIENCE_SECONDS:.0f} seconds"
    if isinstance(error, httpx.ConnectError):
        unknown = any(isinstance(cause, socket.gaierror) for cause in causes(error))
        why = "no such host is known" if unknown else "the connection is refused"
        return f"The Hub at {hub} can't be reached: {why}"
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return f"HF_ENDPOINT is not the address of a Hub: {hub}"
    if isinstance(error, httpx.HTTPError):
        return f"The connection to the Hub at {hub} broke off ({type(error).__name__})"
    if isinstance(error, JSONDecodeError):
        return f"What answers at {hub} is not a Hugging Face Hub"
    return " ".join(str(error).split()).rstrip(".")


def _explain_status(error: HfHubHTTPError, namespace: str) -> str:
    status = error.response.status_code
    said = " ".join((error.server_message or error.response.reason_phrase).split()).rstrip(".")
    if status == 401:
        place = (
            "in HF_TOKEN is wrong or has expired"
            if os.environ.get("HF_TOKEN")
            else "that is stored here is wrong or has expired; `hf auth login --force` replaces it"
        )
        return f"The Hub doesn't accept the token (401): the one {place}"
    if status == 403:
        return (
            f"The token may not write to {namespace} (403: {said}); make one that may at "
            f"{endpoint()}/settings/tokens"
        )
    if status in (409, 412):
        return f"Somebody else changed the repository in the meantime ({status}: {said})"
    if status == 429:
        return _say_limit(error.response)
    if status >= 500:
        return f"The Hub has trouble of its own ({status}: {said})"
    return f"The Hub refuses ({status}: {said})"


def _command(
    namespace: str, models: Sequence[str] | None, private: bool, dry_run: bool, weights: Path
) -> str:
    parts = ["python", "-m", "train", "push", "--namespace", namespace]
    if models:
        parts += ["--models", *models]
    if private:
        parts.append("--private")
    if dry_run:
        parts.append("--dry-run")
    if weights != WEIGHTS:
        parts += ["--weights", str(weights)]
    return shlex.join(parts)


def visibility(private: bool) -> str:
    """Name it for a person."""
    return "private" if private else "public"


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
