"""The recipe: what ships, in which order it is trained, in how much time, and what failures do."""

import itertools
import random
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import train
from denoiser.architectures.loading import load_network
from denoiser.denoisers.registry import MODELS
from tests.tiny import write_config, write_fer2013
from train.__main__ import main
from train.config import ConfigError, read_config
from train.recipe.progress import read_curve
from train.recipe.run import Step, find_needs, follow_up, read_recipe, schedule, train_all

CONFIGS = Path(train.__file__).parent / "configs"


def test_every_shipped_model_has_a_step():
    trained = [read_config(step.path).id for step in read_recipe()]
    assert set(MODELS) <= set(trained)


def test_every_config_has_a_step():
    """A config that no step trains is forgotten when all is trained anew."""
    names = {str(file.relative_to(CONFIGS).with_suffix("")) for file in CONFIGS.rglob("*.toml")}
    steps = [step.config for step in read_recipe()]
    assert sorted(steps) == sorted(names)


def test_shipped_steps_wait_for_what_they_start_from():
    needs = {
        step.config: [need.config for need in needs] for step, needs in find_needs(read_recipe()).items()
    }
    assert needs["attention-unet"] == []
    assert needs["residual-unet"] == ["residual-unet-start"]
    assert needs["patchgan"] == ["attention-unet"]
    assert needs["more/attention-unet"] == ["attention-unet", "more/residual-unet.router"]
    for name, own in needs.items():
        config = read_config(CONFIGS / f"{name}.toml")
        models = [model for model in (config.start_from, config.teacher) if model]
        assert [read_config(CONFIGS / f"{need}.toml").id for need in own] == models


def recipe_file(tmp_path, text):
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    return tmp_path / "recipe.toml"


def test_a_recipe_is_read_in_order_and_shares_are_one_each(tmp_path):
    text = '[[step]]\nconfig = "attention-unet"\n[[step]]\nconfig = "patchgan"\nshare = 2.5\n'
    steps = read_recipe(recipe_file(tmp_path, text))
    assert steps == (Step("attention-unet", 1.0), Step("patchgan", 2.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('config = "patchgan"', "patchgan starts from 'attention-unet', not yet trained"),
        (
            'config = "patchgan"\n[[step]]\nconfig = "attention-unet"',
            "patchgan starts from 'attention-unet', not yet trained",
        ),
        (
            'config = "attention-unet"\n[[step]]\nconfig = "more/attention-unet"',
            "more/attention-unet is taught by 'residual-unet', not yet trained",
        ),
        ('config = "autoencoder"\nshare = 0', "the share of autoencoder must be above 0"),
        ('config = "autoencoder"\nshare = -1', "share must be a number from 0"),
        ('config = "autoencoder"\nshere = 1', "Unknown setting shere"),
        ('config = "nowhere"', "There is no config file"),
        ("share = 1", "config"),
    ],
)
def test_wrong_recipes_are_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_recipe(recipe_file(tmp_path, f"[[step]]\n{text}\n"))


# When each step runs


def chain(*shares):
    steps = tuple(Step(f"{place}", share) for place, share in enumerate(shares))
    return steps, dict(zip(steps, ((), *((step,) for step in steps)), strict=False))


def critical(step, needs):
    return step.share + max((critical(need, needs) for need in needs[step]), default=0.0)


def test_one_after_the_other_in_order():
    steps, _ = chain(3, 1, 2)
    slots = schedule(steps, dict.fromkeys(steps, ()), 1)
    assert [(slot.step, slot.start, slot.end) for slot in slots] == [
        (steps[0], 0, 3),
        (steps[1], 3, 4),
        (steps[2], 4, 6),
    ]


def test_a_chain_gains_nothing_from_more_jobs():
    steps, needs = chain(3, 1, 2)
    assert [(slot.step, slot.start) for slot in schedule(steps, needs, 3)] == [
        (steps[0], 0),
        (steps[1], 3),
        (steps[2], 4),
    ]


def test_others_run_beside_what_a_step_waits_for():
    first, waits, other = Step("first", 2), Step("waits", 1), Step("other", 3)
    slots = schedule((first, waits, other), {first: (), waits: (first,), other: ()}, 2)
    starts = {slot.step: slot.start for slot in slots}
    assert starts == {first: 0, other: 0, waits: 2}


@pytest.mark.parametrize("jobs", [1, 2, 3, 5])
def test_schedules_of_any_steps(jobs):
    """No step before what it needs, none lost, no more at once than jobs, and none idle for nothing."""
    dice = random.Random(jobs)
    for _ in range(60):
        steps = [Step(str(n), dice.choice([1.0, 2.0, 3.5, 10.0])) for n in range(dice.randint(1, 12))]
        needs = {
            step: tuple(dice.sample(steps[:place], min(place, dice.choice([0, 0, 1, 2]))))
            for place, step in enumerate(steps)
        }
        slots = schedule(steps, needs, jobs)
        assert sorted(slot.step.config for slot in slots) == sorted(step.config for step in steps)
        by_step = {slot.step: slot for slot in slots}
        for slot in slots:
            assert slot.end == slot.start + slot.step.share
            for need in needs[slot.step]:
                assert slot.start >= by_step[need].end
            assert sum(other.start <= slot.start < other.end for other in slots) <= jobs
        makespan = max(slot.end for slot in slots)
        total = sum(step.share for step in steps)
        longest = max(critical(step, needs) for step in steps)
        assert makespan >= max(total / jobs, longest) - 1e-9
        # Graham's bound for lists: reached if no job idles while a step could run.
        assert makespan <= total / jobs + longest * (1 - 1 / jobs) + 1e-9


# Training


class Clock:
    """Time that passes only while someone sleeps."""

    def __init__(self):
        self.now = 1000.0

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    """Configs a, b (starts from a), c (starts from b) and d, and processes that only take time."""
    configs = tmp_path / "configs"
    configs.mkdir()
    for name, start in {"a": "", "b": "a", "c": "b", "d": ""}.items():
        write_config(configs / f"{name}.toml", id=name, start_from=start)
    clock, started, fate = Clock(), [], {}

    class Process:
        """Runs for a second, or for all of its budget, or as long as ``fate`` says: (seconds, code)."""

        running = 0
        most = 0

        def __init__(self, command, stdout, **options):
            name = Path(command[4]).stem
            given = dict(itertools.pairwise(command))
            budget = float(given["--budget"].removesuffix("s")) if "--budget" in given else 1.0
            seconds, self.code = fate.get(name, (budget, 0))
            self.end, self.returncode = clock.now + seconds, None
            self.run = Path(given["--runs"]) / name
            started.append(
                SimpleNamespace(name=name, at=clock.now - 1000, budget=budget, command=command)
            )
            self.run.mkdir(parents=True, exist_ok=True)
            (self.run / "last.ckpt").touch()
            stdout.write("It trains.\n")
            Process.running += 1
            Process.most = max(Process.most, Process.running)

        def poll(self):
            if self.returncode is None and clock.now >= self.end:
                self.returncode = self.code
                Process.running -= 1
            return self.returncode

    monkeypatch.setattr("train.recipe.run._CONFIGS", configs)
    monkeypatch.setattr(
        "train.recipe.run.time", SimpleNamespace(monotonic=lambda: clock.now, sleep=clock.sleep)
    )
    monkeypatch.setattr("train.recipe.run.subprocess.Popen", Process)

    def run(names, **options):
        started.clear()
        steps = [Step(name, share) for name, share in names.items()]
        places = {"runs": tmp_path / "runs", "weights": tmp_path / "weights"}
        return train_all(steps, tmp_path / "faces.npz", **places, **options)

    return SimpleNamespace(
        run=run, started=started, fate=fate, configs=configs, clock=clock, process=Process, root=tmp_path
    )


ALL = {"a": 2.0, "b": 1.0, "c": 1.0, "d": 4.0}


def names(workshop):
    return [start.name for start in workshop.started]


def resumed(workshop):
    return [start.name for start in workshop.started if "--resume" in start.command]


def test_all_are_trained_in_order_each_by_its_own_command(workshop):
    assert workshop.run(ALL, options=("--precision", "bf16-mixed")) == []
    assert names(workshop) == ["a", "b", "c", "d"]
    assert workshop.process.most == 1
    command = list(map(str, workshop.started[1].command))
    assert command[1:6] == ["-m", "train", "fit", str(workshop.configs / "b.toml"), "--data"]
    assert command[6] == str(workshop.root / "faces.npz")  # prepared already
    assert command[-2:] == ["--precision", "bf16-mixed"]
    assert str(workshop.root / "weights") in command
    assert "--budget" not in command
    assert resumed(workshop) == []
    assert "It trains" in (workshop.root / "runs/all/b.log").read_text()


def test_a_budget_is_shared_out(workshop):
    assert workshop.run(ALL, budget=timedelta(seconds=80)) == []
    shares = {start.name: start.budget for start in workshop.started}
    assert {name: shares[name] for name in "abc"} == {"a": 20, "b": 10, "c": 10}
    # Starting costs time that is nobody's: the last one gets what is left, at most its share.
    assert 80 * 4 / 8 - 5 < shares["d"] <= 40
    assert workshop.clock.now - 1000 <= 80 + 1


def test_a_budget_goes_further_where_several_run_at_once(workshop):
    """The chain a, b, c takes as long as d beside it."""
    assert workshop.run(ALL, budget=timedelta(seconds=40), jobs=2) == []
    shares = {start.name: start.budget for start in workshop.started}
    assert (shares["a"], shares["b"], shares["d"]) == (20, 10, 40)
    assert workshop.process.most == 2
    assert workshop.clock.now - 1000 <= 40 + 2


def test_no_step_gets_more_than_what_is_left(workshop):
    workshop.fate["a"] = (65, 0)  # instead of 20
    workshop.run(ALL, budget=timedelta(seconds=80))
    shares = {start.name: start.budget for start in workshop.started}
    assert shares == {"a": 20, "b": 10, "c": 5, "d": 1}  # the last is enough to export something


def test_a_failed_step_stops_those_that_wait_for_it_and_no_others(workshop):
    workshop.fate["a"] = (1, 1)
    assert workshop.run(ALL) == ["a", "b", "c"]
    assert names(workshop) == ["a", "d"]


def test_it_goes_on_where_it_was(workshop):
    workshop.fate["b"] = (1, 143)
    assert workshop.run(ALL) == ["b", "c"]
    workshop.fate.clear()
    assert workshop.run(ALL) == []
    assert names(workshop) == ["b", "c"]  # a and d are done
    assert resumed(workshop) == ["b"]  # c was never started
    assert workshop.run(ALL) == []
    assert names(workshop) == []


def test_a_step_is_trained_anew_by_another_config(workshop):
    """And from its start: the old run's checkpoint is of another config."""
    workshop.run(ALL)
    write_config(workshop.configs / "d.toml", id="d", learning_rate=0.01)
    workshop.run(ALL)
    assert names(workshop) == ["d"]
    assert resumed(workshop) == []
    workshop.run(ALL)
    assert names(workshop) == []


def test_steps_that_are_left_out_are_not_waited_for(workshop):
    assert workshop.run({"c": 1.0}) == []
    assert names(workshop) == ["c"]


def test_the_command_names_what_the_recipe_has_not(tmp_path, capsys):
    places = ["--data", str(tmp_path), "--runs", str(tmp_path / "runs")]
    assert main(["all", *places, "--only", "autoencoder", "nothing"]) == 1
    assert "the recipe has no nothing" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_picture_shows_how_far_every_step_is(workshop):
    workshop.fate["b"] = (1, 1)
    assert workshop.run(ALL) == ["b", "c"]
    picture = (workshop.root / "runs/all/progress.svg").read_text()
    shown = re.findall(r">(a|b|c|d)<.*?>(waiting|running|done|failed)<", picture, re.DOTALL)
    assert dict(shown) == {"a": "done", "b": "failed", "c": "failed", "d": "done"}


def test_a_half_written_log_is_no_curve_yet(tmp_path):
    log = tmp_path / "one" / "log" / "version_0"
    log.mkdir(parents=True)
    (log / "metrics.csv").write_text("epoch,step,val_psnr\n0,10,25.5\n0,20,26.5\n")
    assert read_curve(tmp_path) == [(10, 25.5), (20, 26.5)]
    (log / "metrics.csv").write_text("epoch,step,val_psnr\n0,10,25.5\n0,2")
    assert read_curve(tmp_path) in ([], [(10, 25.5)])
    (log / "metrics.csv").write_text("epoch,step,val_psnr\n0,10,25.5\n0")
    assert read_curve(tmp_path) == []


@pytest.mark.parametrize("failing", [None, "evaluate"])
def test_what_was_trained_is_scored_and_its_outputs_are_kept(tmp_path, monkeypatch, failing):
    commands = []

    def run(command, check):
        commands.append(command[2:])
        return SimpleNamespace(returncode=int(failing in command))

    monkeypatch.setattr("train.recipe.run.subprocess.run", run)
    data = tmp_path / "fer2013"
    ids = ["residual-unet-start", "autoencoder", "patchgan"]  # in the recipe's order; one is not offered
    assert follow_up(ids, data, tmp_path) is (failing is None)
    expected = ["evaluate"] if failing else ["evaluate", "evaluate-emotion", "evaluate-realism"]
    assert [command[1] for command in commands if command[0] == "train"] == expected
    assert commands[0][2:7] == ["--data", str(data), "--denoisers", "patchgan", "autoencoder"]
    goldens = [command for command in commands if command[0] == "tests.golden.make"]
    assert goldens == ([] if failing else [["tests.golden.make", "patchgan", "autoencoder"]])
    assert follow_up(["residual-unet-start"], data, tmp_path)


def test_what_uses_a_model_several_times_is_scored_with_it(tmp_path, monkeypatch):
    commands = []

    def run(command, check):
        commands.append(command[3:])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("train.recipe.run.subprocess.run", run)
    follow_up(["residual-unet"], tmp_path, tmp_path)
    assert commands[0][3:6] == ["--denoisers", "residual-unet", "residual-unet-flow"]
    assert "evaluate-samples" not in [command[0] for command in commands]
    commands.clear()
    follow_up(["flow-unet"], tmp_path, tmp_path)
    assert "evaluate-samples" in [command[0] for command in commands]


def test_what_is_said_of_unknown_noise_is_measured_anew_where_colour_faces_are(tmp_path, monkeypatch):
    commands = []

    def run(command, check):
        commands.append(command[3:])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("train.recipe.run.subprocess.run", run)
    faces, colour = tmp_path / "faces", tmp_path / "colour"
    follow_up(["residual-unet"], faces, tmp_path, colour)
    wanted = ["evaluate-unknown-noise", "--data", str(faces), "--colour-data", str(colour)]
    assert wanted in commands
    commands.clear()
    follow_up(["autoencoder"], faces, tmp_path, colour)  # of which nothing is said there
    follow_up(["residual-unet"], faces, tmp_path)
    assert "evaluate-unknown-noise" not in [command[0] for command in commands]


@pytest.mark.slow
def test_two_steps_in_earnest(tmp_path, monkeypatch):
    """The second starts from the weights of the first; both are exported."""
    configs = tmp_path / "configs"
    configs.mkdir()
    write_config(configs / "one.toml", id="one", validations_per_epoch=1)
    write_config(configs / "two.toml", id="two", start_from="one", validations_per_epoch=1)
    monkeypatch.setattr("train.recipe.run._CONFIGS", configs)
    for name in ("PL_GLOBAL_SEED", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(Path(train.__file__).parent.parent)
    data = write_fer2013(tmp_path / "fer2013")
    places = {"runs": tmp_path / "runs", "weights": tmp_path / "weights"}
    options = ("--accelerator", "cpu", "--devices", "1")
    steps = (Step("one"), Step("two"))
    failed = train_all(steps, data, **places, options=options, jobs=2)
    logs = [(tmp_path / f"runs/all/{name}.log").read_text()[-3000:] for name in ("one", "two")]
    assert failed == [], logs
    for name in ("one", "two"):
        load_network(name, tmp_path / "weights")
    picture = (tmp_path / "runs" / "all" / "progress.svg").read_text()
    for name in ("one", "two"):
        (_, psnr), *_ = curve = read_curve(tmp_path / "runs" / "all" / "runs" / name)
        assert 0 < psnr < 60
        assert f"done, {curve[-1][1]:.2f} dB" in picture
