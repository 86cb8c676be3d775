"""Publishing the app: a Space on the Hugging Face Hub, what it runs on and what its README links."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, SpaceHardware, constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from denoiser.analysis.emotion.classifier import CLASSIFIER, CLASSIFIER_NAME
from denoiser.analysis.results import (
    BENCHMARK_NAME,
    COLOUR_NAME,
    HISTORY_NAME,
    REALISM_NAME,
    SAMPLES_NAME,
    UNKNOWN_NOISE_NAME,
)
from denoiser.architectures.loading import DISCRIMINATOR_CONFIG_NAME, DISCRIMINATOR_NAME
from denoiser.weights.checkpoint import CONFIG_NAME, MODEL_NAME, WEIGHTS
from train.publish.hub import (
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

ROOT = WEIGHTS.parent

HARDWARE = ("zero-a10g", "cpu-basic")
"""What the app runs on: ZeroGPU, open to all accounts, or a plain processor, for subscribers."""

MAX_BYTES = 10_000_000
"""The largest file that the Hub keeps outside LFS."""

_REQUIRED = ("app.py", "requirements.txt", "README.md", "LICENSE", "denoiser/__init__.py")
_PATTERNS = (
    *_REQUIRED,
    "denoiser/**/*.py",
    "denoiser/py.typed",
    *(f"denoiser/ui/**/*.{kind}" for kind in ("css", "html", "js")),
    f"weights/{BENCHMARK_NAME}",
    f"weights/{REALISM_NAME}",
    f"weights/{SAMPLES_NAME}",
    f"weights/{UNKNOWN_NOISE_NAME}",
    f"weights/{COLOUR_NAME}",
    f"weights/*/{CONFIG_NAME}",
    f"weights/*/{HISTORY_NAME}",
    f"weights/*/{MODEL_NAME}",
    f"weights/*/{DISCRIMINATOR_CONFIG_NAME}",
    f"weights/*/{DISCRIMINATOR_NAME}",
    f"weights/{CLASSIFIER}/*.json",
    f"weights/{CLASSIFIER}/{CLASSIFIER_NAME}",
    # What `pip install` of a copy of the Space needs besides.
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "requirements-onnx.txt",
    "train/requirements.txt",
    # What the README shows or links to, and what those pages link to.
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "notebooks/*.ipynb",
    "docs/*.md",
    "docs/*.png",
    "train/configs/*.toml",
    "train/mixtures/*.toml",
    "train/ablation/studies/*",
    "tests/benchmarks/*.json*",
)
_OWN = "denoiser/__init__.py"  # a Space without it is another one
_LFS_SUFFIX = ".safetensors"
_KEPT = ".gitattributes"  # the Hub's own: what goes to LFS
_LISTED = 5


@dataclass(frozen=True)
class SpacePlan:
    """What there is to do for the Space.

    Attributes:
        repo_id: The Space.
        hardware: What to make it on; None where it exists.
        private: Whether it is, or will be, for its owner only.
        add: What to upload, by path.
        remove: What to delete.
        parent: Commit to put it on; None for a new Space.
    """

    repo_id: str
    hardware: str | None
    private: bool
    add: Mapping[str, Path]
    remove: tuple[str, ...]
    parent: str | None

    def describe(self) -> str:
        """Say it for a person, on one line."""
        steps = []
        if self.hardware is not None:
            steps.append(f"create it, {visibility(self.private)}, on {self.hardware}")
        if self.add:
            steps.append(f"upload {_name(sorted(self.add))} ({megabytes(self.add)})")
        if self.remove:
            steps.append(f"delete {_name(self.remove)}")
        return f"{self.repo_id}: {', '.join(steps) or 'is up to date, nothing to do'}"

    def message(self) -> str:
        """Say it for the Space's history."""
        if self.hardware is not None:
            return "Publish the app"
        steps = [f"Update {_name(sorted(self.add))}"] if self.add else []
        steps += [f"Delete {_name(self.remove)}"] if self.remove else []
        return ", ".join(steps)


def space_files(root: Path = ROOT) -> dict[str, Path]:
    """Return what a Space needs, by its path there: the app, the weights it reads, and what they say.

    Args:
        root: The repository, or a copy of it.
    """
    paths = {path for pattern in _PATTERNS for path in root.glob(pattern) if path.is_file()}
    by_name = {path.relative_to(root).as_posix(): path for path in sorted(paths)}
    return {name: path for name, path in by_name.items() if not _is_hidden(name)}


def publish_space(
    repo_id: str,
    private: bool = False,
    dry_run: bool = False,
    hardware: str = HARDWARE[0],
    root: Path = ROOT,
    tell: Tell = print,
) -> None:
    """Make the Space ``repo_id`` hold :func:`space_files`, in one commit; make it first if need be.

    Everything that is there is looked at first, so that a refusal changes nothing, and a second run
    uploads only what has changed.

    Args:
        repo_id: Such as ``"NAME/face-denoising-lab"``.
        private: Make a new Space for its owner only.
        dry_run: Look, and say what would be done, and do nothing.
        hardware: What to make a new Space on, one of :data:`HARDWARE`; one that exists keeps its own.
        root: The repository, or a copy of it.
        tell: Gets a line of progress at a time.

    Raises:
        PushError: It can't be done, or not now; the message says how to go on.
    """
    namespace = _check_id(repo_id)
    files = _check_files(root)
    command = say_command(
        *("publish-space", "--repo", repo_id),
        private=private,
        dry_run=dry_run,
        options={
            "--hardware": None if hardware == HARDWARE[0] else hardware,
            "--root": None if root == ROOT else root,
        },
    )
    with explained(namespace, command):
        api = log_in(namespace)
        plan = _plan(api, repo_id, files, private, hardware)
        tell(plan.describe())
        if dry_run:
            for step, names in (("upload", sorted(plan.add)), ("delete", plan.remove)):
                for name in names:
                    tell(f"      {step} {name}")
            tell("This was a dry run: nothing was changed.")
        else:
            _publish(api, plan, tell)


def _check_id(repo_id: str) -> str:
    namespace, _, name = repo_id.partition("/")
    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        name = ""
    if not namespace or not name:
        raise PushError(
            f"{repo_id!r} can't be a Space's id: that is NAME/SPACE, made of letters, digits, '-', '_' "
            "and '.', not '--' or '..', at most 96 in all"
        )
    return namespace


def _check_files(root: Path) -> dict[str, Path]:
    files = space_files(root)
    missing = [name for name in _REQUIRED if name not in files]
    if missing:
        raise PushError(f"There is no {' and no '.join(missing)} in {root}, and the Space needs it")
    if not any(name.endswith(_LFS_SUFFIX) for name in files):
        raise PushError(f"There are no models in {root / 'weights'}; `python -m train fit` makes them")
    large = [
        name
        for name, path in files.items()
        if not name.endswith(_LFS_SUFFIX) and path.stat().st_size > MAX_BYTES
    ]
    if large:
        raise PushError(
            f"{_name(large)}: larger than {MAX_BYTES / 1e6:.0f} MB, which the Hub takes in LFS only"
        )
    return files


def _plan(
    api: HfApi, repo_id: str, files: Mapping[str, Path], private: bool, hardware: str
) -> SpacePlan:
    info = find_repo(api, repo_id, "space", private)
    if info is None:
        return SpacePlan(repo_id, hardware, private, files, (), None)
    head = info.sha or constants.DEFAULT_REVISION
    there = list_tree(api, repo_id, head, "space")
    if _OWN not in there and set(there) - {_KEPT, "README.md"}:
        raise PushError(
            f"{repo_id} holds another app, which would be deleted: choose another name, or delete it in "
            f"its settings, {address(repo_id, 'space')}/settings"
        )
    gone = tuple(sorted(set(there) - set(files) - {_KEPT}))
    return SpacePlan(repo_id, None, bool(info.private), changed(there, files), gone, head)


def _publish(api: HfApi, plan: SpacePlan, tell: Tell) -> None:
    if plan.hardware is not None:
        api.create_repo(
            plan.repo_id,
            repo_type="space",
            space_sdk="gradio",
            space_hardware=SpaceHardware(plan.hardware),
            private=plan.private,
        )
    if plan.add or plan.remove:
        api.create_commit(
            plan.repo_id,
            [
                *(CommitOperationAdd(name, path) for name, path in plan.add.items()),
                *(CommitOperationDelete(name) for name in plan.remove),
            ],
            commit_message=plan.message(),
            repo_type="space",
            parent_commit=plan.parent,  # who commits in between is not overwritten
        )
        tell(f"      {address(plan.repo_id, 'space')}")


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def _name(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= _LISTED else f"{len(names)} files"
