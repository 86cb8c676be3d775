"""Publishing the models: a repository on the Hugging Face Hub for each, and a collection of them.

Everything that is there is looked at first; only then is anything changed. So a refusal changes nothing,
and a push that broke off goes on when it is run again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from denoiser.analysis.results import HISTORY_NAME, METRICS_NAME
from denoiser.architectures.loading import (
    DISCRIMINATOR_CONFIG_NAME,
    DISCRIMINATOR_NAME,
    load_discriminator,
    load_network,
)
from denoiser.weights.checkpoint import CONFIG_NAME, MODEL_NAME, WEIGHTS, hub_repo_id
from denoiser.weights.hub import WEIGHTS_VERSION, endpoint
from train.export import ExportError, export_onnx
from train.files import CARD_NAME
from train.publish.cards import ONNX_NAME, FiguresError, make_card
from train.publish.hub import (
    Content,
    PushError,
    Tell,
    address,
    changed,
    explained,
    find_repo,
    list_tree,
    log_in,
    megabytes,
    say_command,
    visibility,
)
from train.publish.sample import make_sample

COLLECTION = "FER2013 face denoisers"
DESCRIPTION = "Networks that restore 48x48 faces, from a lab that shows why one denoiser beats another."

_DISCRIMINATOR = (DISCRIMINATOR_CONFIG_NAME, DISCRIMINATOR_NAME)  # only a GAN has one
_LOADED = (CONFIG_NAME, MODEL_NAME, *_DISCRIMINATOR)  # what a version stands for
_COPIED = (CONFIG_NAME, HISTORY_NAME, METRICS_NAME, MODEL_NAME)


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
            names = ", ".join(sorted(self.files))
            steps.append(f"upload {names} ({megabytes(self.files)}) in one commit")
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
    """Publish models, tagged with this code's version of the weights.

    Args:
        namespace: User or organization on the Hub; see :func:`hub_repo_id` for what comes after it.
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
    command = say_command(
        *("push", "--namespace", namespace),
        *(["--models", *models] if models else []),
        private=private,
        dry_run=dry_run,
        options={"--weights": None if weights == WEIGHTS else weights},
    )
    with explained(namespace, command):
        api = log_in(namespace)
        plans = [
            _plan(
                api,
                hub_repo_id(namespace, model_id),
                contents[model_id],
                partial(_export, model_id, weights, tell),
                private,
            )
            for model_id in ids
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
    all_ids = sorted(path.parent.name for path in weights.glob(f"*/{CONFIG_NAME}"))
    ids = list(dict.fromkeys(models)) if models else all_ids
    if not ids:
        raise PushError(f"There are no models in {weights}; `python -m train fit` makes them")
    unknown = [model_id for model_id in ids if model_id not in all_ids]
    if unknown:
        raise PushError(
            f"There is no model {', '.join(unknown)} in {weights}; choose of {', '.join(all_ids)}"
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
    return {CARD_NAME: card} | make_sample(model_id, weights) | {name: folder / name for name in copied}


def _export(model_id: str, weights: Path, tell: Tell) -> bytes:
    tell(f"Exporting {model_id} to ONNX")
    try:
        return export_onnx(model_id, weights)
    except ExportError as error:
        raise PushError(str(error)) from None


def _plan(
    api: HfApi,
    repo_id: str,
    contents: Mapping[str, Content],
    export: Callable[[], bytes],
    private: bool,
) -> Plan:
    """Look at what is there. An export takes up to a minute: only new weights get one."""
    info = find_repo(api, repo_id, "model", private)
    if info is None:
        return Plan(repo_id, True, private, {**contents, ONNX_NAME: export()}, None, True)
    tags = [tag.name for tag in api.list_repo_refs(repo_id).tags]
    tagged = WEIGHTS_VERSION in tags
    if tagged:
        loaded = {name: content for name, content in contents.items() if name in _LOADED}
        others = changed(list_tree(api, repo_id, WEIGHTS_VERSION, "model"), loaded)
        if others:
            raise PushError(
                f"{repo_id} is published as {WEIGHTS_VERSION} with another "
                f"{' and '.join(sorted(others))}, and a published version is never changed: raise "
                "WEIGHTS_VERSION in denoiser/weights/hub.py, and push again"
            )
    head = info.sha or constants.DEFAULT_REVISION
    there = list_tree(api, repo_id, head, "model")
    files = changed(there, contents)
    if ONNX_NAME not in there or not files.keys().isdisjoint(_LOADED):
        files[ONNX_NAME] = export()
    return Plan(repo_id, False, bool(info.private), files, head, not tagged)


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
        tell(f"      {address(plan.repo_id, 'model')}")


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
