"""The notebook: it runs from top to bottom, as it is and with its solutions, and holds no output."""

import json
import os
import re

import pytest

from .conftest import ROOT

NOTEBOOK = ROOT / "notebooks" / "first_denoiser.ipynb"

_SOLUTION = re.compile(r"<summary>Solution</summary>\n\n```python\n(.*?)```", re.DOTALL)
_FOLDED = re.compile(
    r"<details><summary>(?:Solution|Answers?)</summary>\n\n.*?\n\n</details>", re.DOTALL
)

_GAINS = """
import json
print(json.dumps({
    "by_noise": gains,
    "harm": gain(median_filter, denoiser.create_noise("gaussian", sigma=5 / 255)),
    "steps": len(losses),
    "split": [len(training_faces), len(test_faces)],
}))
"""


def read():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def source(cell):
    return "".join(cell["source"])


def text(kind):
    return [source(cell) for cell in read()["cells"] if cell["cell_type"] == kind]


def solutions():
    """The functions that the folded solutions define, by name."""
    codes = _SOLUTION.findall("\n".join(text("markdown")))
    return {re.match(r"def (\w+)\(", code)[1]: code for code in codes}


def solve(code, solved):
    """Put functions in the place of those of the same name."""
    for name, solution in solved.items():
        whole = re.compile(rf"^def {name}\(.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
        code = whole.sub(lambda _, new=solution: f"{new}\n\n", code)
    return code


def test_it_holds_no_output():
    """An output might be a face of FER2013, which is not ours to pass on."""
    cells = read()["cells"]
    assert {cell["cell_type"] for cell in cells} == {"code", "markdown"}
    for cell in cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert "attachments" not in cell
        assert "data:" not in source(cell)
    assert NOTEBOOK.stat().st_size < 40_000


def test_solutions_and_answers_are_folded():
    words = "\n".join(text("markdown"))
    assert len(_SOLUTION.findall(words)) == len(re.findall(r"\*\*Your turn\.\*\*", words)) == 2
    assert len(re.findall("<details>", words)) == len(_FOLDED.findall(words)) >= 7
    questions = re.findall(r"\*\*Questions?\b", words)
    assert len(questions) == len(re.findall(r"<summary>Answers?</summary>", words))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs the notebook, in a kernel of its own that reaches no network; returns what it measured."""
    import nbformat
    from nbclient import NotebookClient

    def execute(solved, seconds):
        notebook = nbformat.reads(NOTEBOOK.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for cell in code:
            cell.source = solve(cell.source, solved)
        notebook.cells.append(nbformat.v4.new_code_cell(_GAINS))
        nowhere = "http://127.0.0.1:9"
        environment = {name: value for name, value in os.environ.items() if name != "FER2013_PATH"} | {
            "FIRST_DENOISER_SECONDS": str(seconds),
            "HF_HUB_OFFLINE": "1",
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere),
            "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython")),
        }
        client = NotebookClient(
            notebook,
            timeout=None,  # pytest's own is the limit
            startup_timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(NOTEBOOK.parent)}},
        )
        client.execute(env=environment)
        (output,) = notebook.cells[-1].outputs
        return json.loads(output.text), code

    return execute


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_runs_as_it_is(run):
    measured, code = run({}, 0)
    assert measured["by_noise"]["mean filter"] == measured["by_noise"]["median filter"] == [0] * 4
    pictures = [
        output for cell in code for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 6


@pytest.mark.timeout(900)
def test_it_runs_with_its_solutions_and_what_it_says_is_so(run):
    solved = solutions()
    assert solved.keys() == {"mean_filter", "median_filter"}
    measured, _ = run(solved, float(os.environ.get("FIRST_DENOISER_SECONDS", "5")))
    weak, gaussian, _, dots = range(4)
    by_noise = measured["by_noise"]
    assert measured["steps"] >= 100
    assert measured["split"] == [80, 20]
    assert by_noise["mean filter"][gaussian] > by_noise["median filter"][gaussian] > 1
    assert by_noise["median filter"][dots] > by_noise["mean filter"][dots] + 3
    assert by_noise["median filter"][weak] < 0
    assert by_noise["my network"][gaussian] > 0
    assert by_noise["my network"][dots] < by_noise["median filter"][dots]
    for name in ("autoencoder", "attention-unet", "residual-unet"):
        assert min(by_noise[name]) > 0
