"""What training sees: the mixture of noises, mirrored and enlarged faces, no face of the test split."""

import math
import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DistributedSampler

from denoiser.faces.fer2013 import FaceDataError, FaceSet
from denoiser.images import from_uint8
from denoiser.noise import PRESETS, create_noise
from tests.tiny import pictures, write_config, write_fer2013
from train.config import Component, Stage, read_config
from train.data import (
    EpochBatches,
    FaceData,
    OnDevice,
    augment,
    fixed_noise,
    prepare_faces,
    split_name,
    without_copies,
)
from train.modules.mixture import NoiseMixture, deal


def mixture(*parts):
    """Make a mixture of (weight, kind, ranges)."""
    return NoiseMixture(tuple(Component(float(w), (Stage(kind, ranges),)) for w, kind, ranges in parts))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def sources(seed=0):
    """Make both random sources: of tensors, and of what is known without them."""
    return seeded(seed), random.Random(seed)


def face_set(images, rows=None, split="train"):
    rows = np.arange(len(images)) if rows is None else np.asarray(rows)
    return FaceSet(images, rows, ("",) * len(images), split, "made up")


EVERYTHING = mixture(
    (1, "gaussian", {"sigma": (0.0, 0.9)}),
    (1, "salt-and-pepper", {"amount": (0.0, 0.4), "salt_ratio": (0.3, 0.7)}),
    (1, "impulse", {"amount": (0.0, 0.4)}),
    (1, "poisson", {"peak": (1.0, 120.0)}),
    (1, "speckle", {"sigma": (0.0, 0.9)}),
    (1, "pixel-shuffle", {"amount": (0.0, 0.4), "radius": (1.0, 2.0)}),
    (1, "occlusion", {"size": (1.0, 8.0), "count": (1.0, 2.0)}),
    (1, "blur", {"sigma": (0.0, 2.0)}),
    (1, "jpeg", {"quality": (5.0, 90.0)}),
)


def test_mixture_stays_a_picture():
    clean = torch.rand(90, 1, 16, 16, generator=seeded(1))
    noisy = EVERYTHING(clean, *sources())
    assert noisy.shape == clean.shape
    assert noisy.dtype == clean.dtype
    assert noisy.isfinite().all()
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    changed = (noisy != clean).flatten(1).any(1).float().mean()
    assert changed > 0.9  # and it did something


def test_same_seed_same_mixture():
    clean = torch.rand(32, 1, 16, 16)
    first = EVERYTHING(clean, *sources(3))
    assert torch.equal(first, EVERYTHING(clean, *sources(3)))
    assert not torch.equal(first, EVERYTHING(clean, *sources(4)))


def test_a_generator_goes_on():
    clean = torch.rand(8, 1, 16, 16)
    both = sources(3)
    assert not torch.equal(EVERYTHING(clean, *both), EVERYTHING(clean, *both))


def test_mixture_leaves_the_picture_and_global_randomness_alone():
    clean = torch.rand(64, 1, 16, 16)
    copy = clean.clone()
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    python_state = random.getstate()
    EVERYTHING(clean, *sources())
    assert torch.equal(clean, copy)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert random.getstate() == python_state


WEIGHTS = (
    [1.0, 2.5, 6.5],
    [5, 6, 4, 3, 2, 2, 2, 1, 1, 1, 0.5],
    [0.1, 0.9],
    [1.0, 0.0],
    [0.0, 1.0],
    [3.0],
)


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("count", [0, 1, 7, 64, 97])
def test_pictures_are_dealt_out_by_weight(weights, count):
    """All of them, each part within 1 of its share, and on average exactly at it."""
    dice, draws = random.Random(count), 1000
    shares = count * np.array(weights) / sum(weights)
    dealt = np.array([deal(weights, count, dice) for _ in range(draws)])
    assert (dealt.sum(axis=1) == count).all()
    assert (dealt >= 0).all()
    assert (np.abs(dealt - shares) < 1).all()
    # A part's number is the whole number below its share or the one above: at most this much spread.
    assert np.abs(dealt.mean(axis=0) - shares).max() < 5 * 0.5 / math.sqrt(draws)


def test_a_share_of_whole_numbers_is_always_the_same():
    dice = random.Random(0)
    assert {tuple(deal([1, 2, 1], 8, dice)) for _ in range(50)} == {(2, 4, 2)}


def test_each_part_is_used_at_its_weight():
    weights = {0.0: 1.0, 0.5: 2.5, 1.0: 6.5}  # by the brightness that it leaves behind
    parts = mixture(
        (weights[0.0], "salt-and-pepper", {"amount": (1.0, 1.0), "salt_ratio": (0.0, 0.0)}),
        (weights[0.5], "gaussian", {"sigma": (0.0, 0.0)}),
        (weights[1.0], "salt-and-pepper", {"amount": (1.0, 1.0), "salt_ratio": (1.0, 1.0)}),
    )
    count = 977
    noisy = parts(torch.full((count, 1, 1, 1), 0.5), *sources()).flatten()
    for brightness, weight in weights.items():
        share = weight / sum(weights.values())
        assert abs(int((noisy == brightness).sum()) - share * count) < 1


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_of_a_part_s_pictures_is_not_clipped(share):
    """Strong noise on gray leaves [0, 1] somewhere in each picture, where it may."""
    noise = (Stage("gaussian", {"sigma": (0.9, 0.9)}),)
    other = Component(1.0, (Stage("gaussian", {"sigma": (0.9, 0.9)}),))
    parts = NoiseMixture((Component(1.0, noise, unclipped=share), other))
    noisy = parts(torch.full((80, 1, 16, 16), 0.5), *sources())
    beyond = ((noisy < 0) | (noisy > 1)).flatten(1).any(1)
    assert int(beyond.sum()) == round(40 * share)
    assert not beyond[40:].any()  # the other part's
    if share:
        free = noisy[:40][beyond[:40]] - 0.5
        assert float(free.std()) == pytest.approx(0.9, abs=5 * 0.9 / math.sqrt(2 * free.numel()))


def test_every_picture_has_its_own_strength_drawn_evenly():
    count, low, high = 2000, 0.05, 0.15
    parts = mixture((1, "gaussian", {"sigma": (low, high)}))
    noisy = parts(torch.full((count, 1, 24, 24), 0.5), *sources())
    strengths = noisy.flatten(1).std(1).double()
    assert strengths.min() < low + 0.01
    assert strengths.max() > high - 0.01
    deviation = (high - low) / math.sqrt(12)
    assert abs(float(strengths.mean()) - (low + high) / 2) < 5 * deviation / math.sqrt(count)
    # Even: the spread is a uniform distribution's, give or take what measuring it adds.
    assert float(strengths.std()) == pytest.approx(deviation, rel=0.05)


@pytest.mark.parametrize(("low", "high"), [(1, 2), (1, 4)])
def test_whole_numbers_are_drawn_evenly_once_for_a_batch(low, high):
    """Count the squares' sides: a square of side n blackens n * n pixels of a white picture."""
    parts = mixture((1, "occlusion", {"size": (low, high), "count": (1.0, 1.0)}))
    both, draws = sources(), 2000
    sides = []
    for _ in range(draws):
        black = (parts(torch.ones(2, 1, 8, 8), *both) == 0).flatten(1).sum(1)
        assert black[0] == black[1]
        sides.append(math.isqrt(int(black[0])))
    values = range(low, high + 1)
    assert set(sides) == set(values)
    share = 1 / len(values)
    for value in values:
        error = math.sqrt(share * (1 - share) / draws)
        assert abs(sides.count(value) / draws - share) < 5 * error


def test_what_a_stage_does_not_name_has_its_default():
    noisy = mixture((1, "gaussian", {}))(torch.full((200, 1, 24, 24), 0.5), *sources())
    default = create_noise("gaussian").sigma
    assert float(noisy.std()) == pytest.approx(default, rel=0.02)


def test_stages_follow_one_another():
    """Salt on all pixels, then black squares: both are seen, the second on top of the first."""
    salt = Stage("salt-and-pepper", {"amount": (1.0, 1.0), "salt_ratio": (1.0, 1.0)})
    square = Stage("occlusion", {"size": (4.0, 4.0), "count": (1.0, 1.0)})
    clean = torch.full((3, 1, 8, 8), 0.5)
    noisy = NoiseMixture((Component(1.0, (salt, square)),))(clean, *sources())
    assert (noisy == 0).flatten(1).sum(1).tolist() == [16] * 3
    assert (noisy == 1).flatten(1).sum(1).tolist() == [48] * 3
    assert (NoiseMixture((Component(1.0, (square, salt)),))(clean, *sources()) == 1).all()


def test_augmented_faces_are_pictures():
    batch = torch.rand(16, 1, 48, 40, generator=seeded(1))
    for seed in range(10):
        larger = augment(batch, 1.0, 1.6, *sources(seed))
        assert larger.shape == batch.shape
        assert larger.min() >= 0
        assert larger.max() <= 1


def test_augmentation_is_deterministic_and_leaves_its_input_alone():
    batch = torch.rand(16, 1, 48, 48)
    copy = batch.clone()
    state, python_state = torch.random.get_rng_state(), random.getstate()
    first = augment(batch, 0.5, 1.6, *sources(2))
    assert torch.equal(first, augment(batch, 0.5, 1.6, *sources(2)))
    assert torch.equal(batch, copy)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert random.getstate() == python_state
    assert not torch.equal(first, augment(batch, 0.5, 1.6, *sources(3)))


def test_half_of_the_faces_are_mirrored():
    count = 10_000
    batch = torch.rand(count, 1, 2, 3)
    augmented = augment(batch, 0.0, 1.6, *sources())
    mirrored = (augmented == batch.flip(3)).flatten(1).all(1)
    kept = (augmented == batch).flatten(1).all(1)
    assert (mirrored ^ kept).all()  # nothing else happens to a picture
    assert abs(float(mirrored.double().mean()) - 0.5) < 5 * 0.5 / math.sqrt(count)


def test_enlarged_share():
    share, draws, both = 0.3, 1000, sources()
    batch = torch.rand(1, 1, 8, 8)
    enlarged = 0
    for _ in range(draws):
        augmented = augment(batch, share, 3.0, *both)
        enlarged += not (torch.equal(augmented, batch) or torch.equal(augmented, batch.flip(3)))
    assert abs(enlarged / draws - share) < 5 * math.sqrt(share * (1 - share) / draws)


def test_enlarged_faces_are_smoother():
    batch = torch.rand(64, 1, 48, 48)

    def roughness(pictures):
        return float((pictures[..., 1:] - pictures[..., :-1]).square().mean())

    augmented = [augment(batch, 1.0, 1.6, *sources(seed)) for seed in range(20)]
    assert all(roughness(pictures) < roughness(batch) * 1.01 for pictures in augmented)
    assert sum(map(roughness, augmented)) / len(augmented) < 0.8 * roughness(batch)


def test_crops_come_from_everywhere():
    """Of an upright gradient: the crop's mean brightness tells where it was cut from."""
    batch = torch.linspace(0, 1, 48)[None, None, :, None].expand(1, 1, 48, 48)
    means = [float(augment(batch, 1.0, 2.0, *sources(seed)).mean()) for seed in range(200)]
    assert min(means) < 0.35
    assert max(means) > 0.65
    assert abs(sum(means) / len(means) - 0.5) < 0.05


def test_pictures_of_held_out_splits_are_left_out():
    images = pictures(12, seed=0)
    train = face_set(images[[0, 1, 2, 3, 2, 4]])
    validation = face_set(images[[5, 2]], split="validation")
    test = face_set(images[[6, 0]], split="test")
    np.testing.assert_array_equal(without_copies(train, validation, test), images[[1, 3, 4]])
    np.testing.assert_array_equal(without_copies(train, validation), images[[0, 1, 3, 4]])
    np.testing.assert_array_equal(without_copies(train), train.images)


def test_near_copies_are_left_out():
    """Mirrored, moved and a gray level brighter, so that no pixel is the same."""
    images = pictures(6, seed=0)
    copy = np.roll(images[:1, :, ::-1], 2, axis=2).clip(0, 254) + 1
    np.testing.assert_array_equal(without_copies(face_set(images), face_set(copy)), images[1:])


def test_results_name_what_is_odd_about_a_split():
    faces = replace(face_set(pictures(3, seed=0), split="test"), remark="pictures: 3 instead of 9")
    assert split_name(faces) == "FER2013 test (PrivateTest); pictures: 3 instead of 9"
    assert split_name(replace(faces, remark="")) == "FER2013 test (PrivateTest)"


def test_everything_held_out_leaves_an_empty_set():
    images = pictures(3, seed=0)
    assert without_copies(face_set(images), face_set(images)).shape == (0, 48, 48)


@pytest.mark.parametrize(
    "noise",
    [{"kind": "gaussian-low"}, {"kind": "gaussian", "sigma": 0.1}, {"kind": "impulse", "amount": 0.3}],
    ids=str,
)
def test_validation_noise_is_the_public_one_seeded_by_row(noise):
    faces = face_set(pictures(6, seed=0), rows=[5, 3, 1000, 28_558, 7, 8], split="validation")
    noisy, clean = fixed_noise(faces.images[:4], faces.rows[:4], noise)
    assert noisy.shape == clean.shape == (4, 1, 48, 48)
    parameters = {name: value for name, value in noise.items() if name != "kind"}
    model = create_noise(noise["kind"], **parameters)
    for index in range(4):
        face = from_uint8(faces.images[index])
        np.testing.assert_array_equal(clean[index, 0].numpy(), face)
        expected = model(face, seed=int(faces.rows[index]))
        np.testing.assert_array_equal(noisy[index, 0].numpy(), expected)
        assert not np.array_equal(expected, face)


def test_noise_does_not_depend_on_which_pictures_come_before():
    images, rows = pictures(6, seed=0), np.array([9, 8, 7, 6, 5, 4])
    noise = {"kind": "salt-and-pepper-10"}
    alone, _ = fixed_noise(images[3:], rows[3:], noise)
    assert torch.equal(fixed_noise(images, rows, noise)[0][3:], alone)


@pytest.fixture
def config(tmp_path):
    return read_config(write_config(tmp_path / "tiny.toml", validation_pictures=5))


@pytest.fixture
def data(tmp_path):
    return write_fer2013(tmp_path / "fer2013", train=20, validation=6, test=4)


def test_face_data(config, data):
    faces = FaceData(data, config)
    faces.setup("fit")
    batches = list(faces.train_dataloader())
    assert [batch[0].shape for batch in batches] == [(8, 1, 48, 48)] * 2  # the rest is dropped
    assert batches[0][0].dtype == torch.uint8
    loaders = faces.val_dataloader()
    assert len(loaders) == len(config.validation)
    noisy, clean = next(iter(loaders[1]))
    assert noisy.shape == clean.shape == (5, 1, 48, 48)
    assert float((noisy - clean).std()) == pytest.approx(PRESETS["gaussian-low"].sigma, rel=0.05)


def test_training_order_is_shuffled_and_seeded(config, data):
    def order(**changes):
        faces = FaceData(data, replace(config, **changes))
        faces.setup("fit")
        return torch.cat([batch[0] for batch in faces.train_dataloader()])

    first = order()
    assert torch.equal(first, order())
    assert not torch.equal(first, order(seed=1))
    stored = torch.from_numpy(pictures(20, 0))[:, None]
    assert not torch.equal(first, stored[:16])
    assert len({p.numpy().tobytes() for p in first}) == 16  # none comes twice


def test_every_epoch_has_an_order_of_its_own(config, data):
    faces = FaceData(data, config)
    faces.setup("fit")
    loader = faces.train_dataloader()

    def order(epoch):
        loader.sampler.set_epoch(epoch)
        return list(loader.sampler)

    def seen(epoch):
        loader.sampler.set_epoch(epoch)
        return torch.cat([batch[0] for batch in loader])

    assert order(0) != order(1)
    assert order(1) == order(1)
    assert [len(rows) for rows in order(1)] == [8, 8]
    assert len({row for rows in order(1) for row in rows} & set(range(20))) == 16
    assert torch.equal(seen(1), faces.train_set[torch.tensor(order(1)).flatten()])
    assert not torch.equal(seen(0), seen(1))


def test_batches_of_any_sampler_that_is_told_the_epoch():
    """What one epoch drops of a set, another one has."""
    sampler = DistributedSampler(range(20), num_replicas=1, rank=0, seed=3)
    batches, seen = EpochBatches(sampler, 8, drop_last=True), set()
    for epoch in range(10):
        batches.set_epoch(epoch)
        seen |= {row for rows in batches for row in rows}
    assert seen == set(range(20))


def test_a_batch_is_taken_on_the_device_by_its_rows():
    first, second = torch.arange(12).reshape(6, 2), torch.arange(6.0)
    kept = OnDevice((first, second), torch.device("cpu"))
    assert len(kept) == 6
    taken = kept[[4, 0, 4]]
    assert torch.equal(taken[0], first[[4, 0, 4]])
    assert torch.equal(taken[1], second[[4, 0, 4]])
    with pytest.raises(IndexError):
        kept[[6]]


def test_processes_share_an_epoch_out(config, data):
    class Place:
        world_size = 2
        strategy = SimpleNamespace(root_device=torch.device("cpu"))

        def __init__(self, rank):
            self.global_rank = rank

    def batches(rank, epoch):
        faces = FaceData(data, replace(config, batch_size=5))
        faces.trainer = Place(rank)
        faces.setup("fit")
        loader = faces.train_dataloader()
        loader.sampler.set_epoch(epoch)
        return list(loader.sampler)

    for epoch in range(2):
        first, second = (batches(rank, epoch) for rank in range(2))
        assert [len(rows) for rows in first + second] == [5] * 4
        assert sorted(row for rows in first + second for row in rows) == list(range(20))
    assert batches(0, 0) != batches(0, 1)


def test_a_prepared_file_gives_the_same_pictures_as_the_folder(config, data, tmp_path):
    """Of pictures that some were left out of, and whose rows are not their places."""
    (data / "test-00000-of-00001.parquet").write_bytes(
        (data / "validation-00000-of-00001.parquet").read_bytes()
    )
    prepared = prepare_faces(data, tmp_path / "deeper" / "faces.npz")
    given = []
    for place in (data, prepared):
        faces = FaceData(place, config)
        faces.setup("fit")
        loaders = [faces.train_dataloader(), *faces.val_dataloader()]
        given.append([tensor for loader in loaders for batch in loader for tensor in batch])
    of_folder, of_file = given
    assert len(of_folder) == len(of_file) > 2
    assert all(torch.equal(a, b) for a, b in zip(of_folder, of_file, strict=True))


def test_a_file_is_prepared_without_copies_of_what_is_held_out(data, tmp_path):
    """The folder has the test pictures among those to train on, and they aren't in the file."""
    before = np.load(prepare_faces(data, tmp_path / "before.npz"))
    table = pa.concat_tables(
        pq.read_table(data / f"{split}-00000-of-00001.parquet") for split in ("train", "test")
    )
    pq.write_table(table, data / "train-00000-of-00001.parquet")
    after = np.load(prepare_faces(data, tmp_path / "after.npz"))
    assert len(before["train"]) == 20
    np.testing.assert_array_equal(after["train"], before["train"])
    np.testing.assert_array_equal(after["validation_rows"], [1000 + 7 * n for n in range(6)])


def test_limit_and_left_out_pictures(config, data):
    faces = FaceData(data, config, limit=9)
    faces.setup("fit")
    assert len(faces.train_set) == 9
    # The same pictures for training and test: nothing would be left to train on.
    (data / "test-00000-of-00001.parquet").write_bytes(
        (data / "train-00000-of-00001.parquet").read_bytes()
    )
    with pytest.raises(FaceDataError, match="0 pictures are left to train on"):
        FaceData(data, config).setup("fit")


def test_fewer_pictures_than_a_batch(config, data):
    with pytest.raises(FaceDataError, match="7 pictures are left to train on, too few"):
        FaceData(data, config, limit=7).setup("fit")
