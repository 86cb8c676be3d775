"""The exercise sheet: its figures are what its answers score."""

import re
from pathlib import Path

import pytest

import denoiser
from denoiser.analysis.results import NOISY, read_benchmark
from denoiser.denoisers.plugins import FileFunction

from .conftest import ROOT

SHEET = (ROOT / "docs" / "exercises.md").read_text(encoding="utf-8")
ANSWERS = ROOT / "docs" / "solutions.py"


def figures():
    """Answer, noise, and the four figures of each row."""
    table = SHEET.partition("<!-- figures:start -->")[2].partition("<!-- figures:end -->")[0]
    rows, answer = [], ""
    for line in table.strip().splitlines()[2:]:
        exercise, noise, *numbers = (cell.strip() for cell in line.strip("|").split("|"))
        answer = exercise.partition("`")[2].strip("`") or answer
        rows.append((answer, noise, *map(float, numbers)))
    return rows


FIGURES = figures()


def measure(answer, noise, faces):
    table = denoiser.score(FileFunction(ANSWERS, answer), [noise], faces=faces, rivals=[], workers=1)
    psnr = {row.denoiser == NOISY: row.psnr for row in table}
    return psnr[True], psnr[False]


def test_there_are_ten_with_an_answer_each():
    told = re.findall(r"^\*\*(\d+)\. .+?\*\* \(((?:`[\w+ -]+`)[^)]*)\)", SHEET, re.MULTILINE)
    assert [int(number) for number, _ in told] == list(range(1, 11))
    for (number, noises), answer in zip(told, dict.fromkeys(row[0] for row in FIGURES), strict=True):
        asked = re.search(r"`(.+?)`", noises)[1].split()
        assert asked == [row[1] for row in FIGURES if row[0] == answer], number
        assert FileFunction(ANSWERS, answer).load().__doc__.startswith(f"Exercise {number}: ")


@pytest.mark.parametrize("row", FIGURES, ids=lambda row: f"{row[0]}-{row[1]}")
def test_figures_on_the_bundled_faces(row):
    answer, noise, nothing, good, *_ = row
    assert measure(answer, noise, "bundled") == pytest.approx((nothing, good), abs=0.02)


def test_what_doing_nothing_scores_on_fer2013():
    benchmark = read_benchmark()
    for _, noise, _, _, nothing, _ in FIGURES:
        assert nothing == pytest.approx(benchmark.value(NOISY, noise, "psnr"), abs=0.006)


@pytest.mark.slow
@pytest.mark.fer2013
@pytest.mark.parametrize("answer", ["mean", "impulses", "learned"])
def test_figures_on_fer2013(answer, fer2013: Path):
    (row,) = (row for row in FIGURES if row[0] == answer)
    assert measure(answer, row[1], fer2013) == pytest.approx(row[4:], abs=0.02)
