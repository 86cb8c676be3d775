"""What the pages say is there: links, sections, files, commands, and the Python that they show."""

import importlib.util
import re
import shlex
import subprocess
import sys

import pytest
from PIL import Image
from skimage.data import astronaut

import denoiser
from denoiser import __main__ as library_command
from train.__main__ import _parser

from .conftest import ROOT

PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")),
)
FOLDERS = (".ci", "denoiser", "docs", "notebooks", "tests", "train", "weights")
PLACEHOLDERS = {"ID", "NAME"}  # a name that the reader chooses
BUILT = "docs/_build"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FILE = re.compile(r"[\w.-]+\.(?:py|js|css|html|toml|md|svg|json|jsonl)")
_TRAIN = "python -m train "


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page):
    """The page without its blocks of code."""
    return _FENCE.sub("", read(page))


def spans(page):
    return [" ".join(span.split()) for span in _SPAN.findall(prose(page))]


def blocks(page, *languages):
    return [code for language, code in _FENCE.findall(read(page)) if language in languages]


def anchors(page):
    """The addresses that GitHub gives to a page's sections."""
    headings = _HEADING.findall(prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_named(path):
    """Whether a path can be looked for: in a folder of ours, and no part is the reader's choice."""
    return (
        path.startswith(tuple(f"{folder}/" for folder in FOLDERS))
        and not path.startswith(BUILT)
        and not PLACEHOLDERS & set(re.split(r"[/.]", path))
    )


def words(code):
    return [
        word for line in code for word in re.split(r"[\s=]+", line) if re.fullmatch(r"[\w./-]+", word)
    ]


def commands(page):
    """What is said to be run with ``python -m train``, without comments, redirections and prompts."""
    lines = [line for code in blocks(page, "sh", "text") for line in code.splitlines()]
    said = [line[line.index(_TRAIN) :] for line in [*spans(page), *lines] if _TRAIN in line]
    return [re.split(r" [>&#]", command)[0].removeprefix(_TRAIN) for command in said]


def test_the_readme_is_short():
    assert len(read("README.md").splitlines()) <= 170


def test_every_page_can_be_reached_from_the_readme():
    links = _LINK.findall(read("README.md"))
    assert {*PAGES} - {"README.md"} <= {*links}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_a_file_and_a_section(page):
    for link in _LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.is_file(), link
        assert target.resolve().is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target.resolve().relative_to(ROOT).as_posix()), link


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    names = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*")}
    for word in words(
        [*spans(page), *(line for code in blocks(page, "sh") for line in code.splitlines())]
    ):
        if is_named(word) and "dncnn" not in word:  # the recipes make it, see test_recipes.py
            assert (ROOT / word).exists(), word
    for span in spans(page):
        if _FILE.fullmatch(span) and "dncnn" not in span:
            assert span in names or (ROOT / span).is_file(), span


def test_the_table_of_the_tree():
    """In its first column, what follows a path stands beside it."""
    rows = [
        line.split("|")[1] for line in read("CONTRIBUTING.md").splitlines() if line.startswith("| `")
    ]
    assert len(rows) > 20
    for row in rows:
        first, *others = _SPAN.findall(row)
        for path in (ROOT / first, *((ROOT / first).parent / other for other in others)):
            assert path.is_dir() if row.rstrip(" `").endswith("/") else path.exists(), path
    listed = {path.rstrip("/") for row in rows for path in _SPAN.findall(row)}
    for path in sorted((ROOT / "denoiser").iterdir()):
        if not path.name.startswith("__"):
            assert f"denoiser/{path.name}" in listed


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_understood(page, capsys):
    for command in commands(page):
        arguments = shlex.split(command)
        if len(arguments) == 1:  # it is only called by its name
            with pytest.raises(SystemExit) as stop:
                _parser().parse_args([*arguments, "--help"])
            assert stop.value.code == 0, command
        else:
            try:
                _parser().parse_args(arguments)
            except SystemExit:
                pytest.fail(f"{command}: {capsys.readouterr().err}")


def test_there_are_commands_to_check():
    found = {command.split()[0] for page in PAGES for command in commands(page)}
    assert {
        "fit",
        "all",
        "evaluate",
        "sweep",
        "emotion",
        "push",
        "publish-space",
        "cards",
        "export",
    } <= found


@pytest.mark.parametrize("page", ["README.md", "docs/api.md", "docs/exercises.md"])
def test_the_library_s_commands_are_understood(page, capsys):
    lines = [line for code in blocks(page, "sh") for line in code.replace("\\\n", "").splitlines()]
    said = [line.strip() for line in lines if line.strip().startswith("python -m denoiser ")]
    assert said
    for line in said:
        try:
            library_command._parser().parse_args(shlex.split(line.split(" > ")[0])[3:])
        except SystemExit:
            pytest.fail(f"{line}: {capsys.readouterr().err}")


@pytest.mark.parametrize("page", PAGES)
def test_modules_of_the_tests_that_are_run_exist(page):
    for module in re.findall(r"python -m (tests[\w.]*)", read(page)):
        assert importlib.util.find_spec(module.removesuffix(".NAME")), module


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_the_python_that_is_shown_runs(page, tmp_path, monkeypatch):
    (code,) = [code for code in blocks(page, "python") if code.startswith("import denoiser")]
    Image.fromarray(astronaut()).save(tmp_path / "face.jpg")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    face, comparison = names["face"], names["comparison"]
    assert face.shape == names["denoised"].shape == (48, 48)
    for name in re.findall(r'"([\w-]+)"', code.rpartition("denoisers=[")[2].partition("]")[0]):
        assert comparison[name].psnr > denoiser.psnr(names["noisy"], face)


def test_the_denoiser_of_ones_own_that_is_shown_is_scored(tmp_path, monkeypatch):
    (code,) = (code for code in blocks("docs/api.md", "python") if "denoiser.score(" in code)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    psnr = {row.denoiser: row.psnr for row in names["table"]}
    assert psnr["own-median"] == pytest.approx(psnr["median"], abs=0.3)  # they differ at the border


def test_the_command_that_is_shown_answers_as_shown():
    pairs = re.findall(r"```sh\n(python -c .*?)```.*?```text\n(.*?)```", read("docs/api.md"), re.DOTALL)
    assert pairs
    for command, answer in pairs:
        code = shlex.split(command)[2]
        ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert ran.stdout == answer, ran.stderr


def test_the_reference_has_every_public_name():
    text = read("docs/reference.rst")
    for name in denoiser.__all__:
        assert re.search(rf"^\.\. auto\w+:: denoiser\.{name}$", text, re.MULTILINE), name
