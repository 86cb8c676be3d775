"""Results on file are never replaced by fewer, nor by those of other pictures."""

import json
from dataclasses import asdict

import pytest

from tests.tiny import write_fer2013
from train.__main__ import main
from train.config import ConfigError
from train.evaluation import score as evaluating
from train.evaluation.committed import check_replaceable, read_results
from train.evaluation.score import NOISY, Score, evaluate

IDS = ("median", "gaussian-filter")
NOISES = ("gaussian-low", "jpeg-20")
PAIRS = {(name, noise) for name in (NOISY, *IDS) for noise in NOISES}


class InProcess:
    """Scores in this process, of which everything is known."""

    def __init__(self):
        self.computed = []

    def __call__(self, tasks, run, keep, **options):
        for task in tasks:
            self.computed.append((task.denoiser, task.noise))
            count = task.limit or len(evaluating._faces(task.data, 0))
            keep(task, Score(task.denoiser, task.noise, 30.0, 1.0, 0.9, 0.1, 1.0, 1.0, count))


@pytest.fixture
def scored(monkeypatch):
    scored = InProcess()
    monkeypatch.setattr(evaluating, "score_all", scored)
    return scored


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """A folder of results of 4 pictures, two filters and two noises."""
    weights = tmp_path / "weights"
    weights.mkdir()
    scores = [asdict(Score(d, n, 31.0, 1.0, 0.9, 0.1, 1.0, 1.0, 4)) for d, n in sorted(PAIRS)]
    denoisers = [{"id": name, "weights": "filter"} for name in IDS]
    content = {"pictures": 4, "denoisers": denoisers, "scores": scores}
    (weights / "benchmark.json").write_text(json.dumps(content))
    monkeypatch.setattr(evaluating, "WEIGHTS", weights)
    monkeypatch.setattr(evaluating, "list_denoisers", lambda: list(IDS))
    monkeypatch.setattr(evaluating, "MODELS", ())
    monkeypatch.setattr(evaluating, "_TIMED_FACES", 2)
    monkeypatch.setattr(evaluating, "CONDITIONS", {name: evaluating.CONDITIONS[name] for name in NOISES})
    monkeypatch.setattr(evaluating, "_describe", lambda names, data: [{"id": name} for name in names])
    monkeypatch.setattr(evaluating, "update_pages", lambda benchmark: None)
    return weights


def copy_of_fer2013(folder, test):
    return write_fer2013(folder / f"with {test}", train=2, validation=2, test=test)


@pytest.mark.parametrize("only", [None, ["median"]], ids=["all", "one"])
@pytest.mark.parametrize("test", [3, 5])
def test_a_copy_of_another_size_replaces_nothing(tmp_path, committed, scored, only, test):
    data, file = copy_of_fer2013(tmp_path, test), committed / "benchmark.json"
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=f"is of 4 test pictures, and this copy of FER2013 has {test}"):
        evaluate(data, cache=tmp_path / "cache", only=only)
    assert file.read_bytes() == before
    assert scored.computed == []  # it is refused before hours were spent

    evaluate(data, cache=tmp_path / "cache", only=only, output=tmp_path / "elsewhere")
    assert file.read_bytes() == before
    elsewhere = json.loads((tmp_path / "elsewhere" / "benchmark.json").read_text())
    assert elsewhere["pictures"] == test
    assert sorted(path.name for path in committed.iterdir()) == ["benchmark.json"]


def test_one_denoiser_is_scored_anew_and_the_others_stay(tmp_path, committed, scored):
    evaluate(copy_of_fer2013(tmp_path, 4), cache=tmp_path / "cache", only=["median"])
    scores = json.loads((committed / "benchmark.json").read_text())["scores"]
    assert {(s["denoiser"], s["noise"]): s["psnr"] for s in scores} == {
        pair: 30.0 if pair[0] == "median" else 31.0 for pair in PAIRS
    }
    assert set(scored.computed) == {("median", noise) for noise in NOISES}


def test_figures_of_other_weights_are_not_dropped_without_a_word(
    tmp_path, committed, scored, monkeypatch
):
    monkeypatch.setattr(
        evaluating, "weights_version", lambda name: "new" if name in IDS[1:] else "filter"
    )
    data, before = copy_of_fer2013(tmp_path, 4), (committed / "benchmark.json").read_bytes()
    with pytest.raises(
        ConfigError, match="would lose the figures of gaussian-filter, which are of other"
    ):
        evaluate(data, cache=tmp_path / "cache", only=["median"])
    assert (committed / "benchmark.json").read_bytes() == before
    assert scored.computed == []
    for only in (list(IDS), None):  # named, or all
        made = evaluate(data, cache=tmp_path / "cache", only=only)
        assert {(s["denoiser"], s["noise"]) for s in made["scores"]} == PAIRS


def test_unknown_denoisers_are_refused(tmp_path, committed, scored):
    with pytest.raises(ConfigError, match="Unknown denoiser nonsense; choose of"):
        evaluate(copy_of_fer2013(tmp_path, 4), cache=tmp_path / "cache", only=["nonsense"])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"scores": [{}]}', '{"scores": 3}'])
def test_damaged_results_are_not_replaced(tmp_path, committed, scored, capsys, content):
    file = committed / "benchmark.json"
    file.write_text(content)
    data = copy_of_fer2013(tmp_path, 4)
    assert main(["evaluate", "--data", str(data), "--cache", str(tmp_path / "cache")]) == 1
    assert "is damaged" in capsys.readouterr().err
    assert file.read_text() == content


def test_what_no_longer_exists_is_not_missed(tmp_path):
    file = tmp_path / "benchmark.json"
    check_replaceable(file, 3, [], [])  # there is nothing yet
    assert read_results(file) == {}
    file.write_text(json.dumps({"pictures": 3, "scores": [{"denoiser": "gone", "noise": "jpeg-20"}]}))
    check_replaceable(file, 3, [("median", "jpeg-20")], [("median", "jpeg-20")])
    with pytest.raises(ConfigError, match="gone"):
        check_replaceable(file, 3, [], [("gone", "jpeg-20")])
