"""A crop depends on the seed and its number alone; every recipe cuts as it says."""

from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch

from SAMI2ILib.data.dataset import open_dataset
from SAMI2ILib.data.dataset_writer import PreparedSubject, write_manifest, write_subject
from SAMI2ILib.training.augment import cut_crop, vary_source
from SAMI2ILib.training.config import Augmentation
from SAMI2ILib.training.crops import (
    CropDataset,
    cut_window,
    load_batches,
    micro_batches,
    read_source,
)
from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.selection import select_subjects

ALL = ("flip", "rotation_deg", "scale", "remap", "gamma", "dark_floor", "bias", "noise", "blur")
OFF = dict.fromkeys((*ALL, "context"), 0.0)
STILL = Augmentation(**OFF)


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_crop_number_decides_its_content(config, selection):
    crops = CropDataset(config, selection.training)
    assert same(crops[5], CropDataset(config, selection.training)[5])
    assert not same(crops[5], crops[6])


def test_contrast_that_a_subject_lacks_counts_nothing(config, selection):
    bert = selection.training[0][1]
    crop = CropDataset(config, [[bert]])[0]
    assert crop.valid[0].any()
    assert not crop.valid[1].any()
    assert crop.draws.shape == (3, 6)


def test_epoch_brings_every_slice_once_in_an_order_of_its_own(configure, selection):
    config = configure(
        augmentation=OFF, optimization={"steps": 0, "epochs": 2, "crop": 128, "region": "image"}
    )
    crops, count = CropDataset(config, selection.training), selection.slices
    wanted = sorted(
        float(pair.read(n).targets[0].sum())
        for source in selection.training
        for pair in source
        for n in range(len(pair))
    )
    orders = [
        [float(crops[n + start].targets[0].sum()) for n in range(count)] for start in (0, count)
    ]
    for order in orders:
        assert sorted(order) == pytest.approx(wanted, rel=1e-4)
    assert orders[0] != orders[1]


def test_whole_slice_is_cut_bit_for_bit(configure, selection):
    config = configure(
        augmentation=OFF, optimization={"steps": 0, "epochs": 1, "crop": 128, "region": "image"}
    )
    anna = selection.training[0][0]
    crop = CropDataset(config, [[anna]])[0]
    wanted = [anna.read(n) for n in range(len(anna))]
    found = crop.targets[0, 32:96, 32:96].numpy()
    (item,) = [item for item in wanted if np.array_equal(item.targets[0], found)]
    source = crop.source[0, 32:96, 32:96].numpy()
    np.testing.assert_array_equal(source, item.source[0] * item.foreground)
    assert not crop.source[0, :32].any()
    assert crop.valid.all()  # the whole image counts


def test_mirrored_slice_is_whole_and_its_pixels_are_the_slice_s_own(configure, selection):
    plan = {"steps": 0, "epochs": 4, "crop": 128, "region": "image"}
    anna = selection.training[0][0]
    mirroring, still = (
        CropDataset(configure(augmentation=OFF | {"flip": flip}, optimization=plan), [[anna]])
        for flip in (0.5, 0.0)
    )
    seen = set()
    for number in range(4 * len(anna)):
        crop, whole = mirroring[number], still[number]
        as_it_is = torch.equal(crop.source, whole.source)
        assert torch.equal(crop.source if as_it_is else crop.source.flip(-1), whole.source)
        assert torch.equal(crop.targets if as_it_is else crop.targets.flip(-1), whole.targets)
        seen.add(as_it_is)
    assert seen == {True, False}


def test_window_is_filled_up_with_zeros_beyond_the_slice():
    channels = torch.arange(6.0).reshape(1, 2, 3) + 1
    window = cut_window(channels, (0, 1), 4)
    assert window.tolist() == [[[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 2, 3], [0, 4, 5, 6]]]


def test_neighbors_come_from_the_distance_asked_for(cohort):
    (pair, *_) = open_dataset(cohort).pairs("T1", ["T2"], "train", context=3)
    k = pair.subject.slices[0]
    volume = pair.subject.volume("T1").astype(np.float32) * pair.subject.foreground("T1")
    for distance in (0, 1, 2):
        numbers = np.clip([k - distance, k, k + distance], 0, len(volume) - 1)
        np.testing.assert_array_equal(read_source(pair, 0, distance), volume[numbers])


def test_crop_with_context_has_the_slice_in_the_middle(configure):
    config = configure(context_slices=3, augmentation=OFF | {"context": 1.0})
    crops = CropDataset(config, select_subjects(config).training)
    alone = CropDataset(configure(augmentation=OFF), select_subjects(configure()).training)
    distances = set()
    for number in range(12):
        crop = crops[number]
        assert crop.source.shape == (3, 64, 64)
        inside = crop.valid[0]
        distances.add(torch.equal(crop.source[0][inside], crop.source[1][inside]))
    assert distances == {True, False}  # the slice itself, or one further away
    assert alone[0].source.shape == (1, 64, 64)


@pytest.mark.parametrize(("size", "accumulate"), [(1, 1), (1, 3), (2, 2), (3, 1), (5, 4)])
def test_processes_share_a_batch_without_loss_or_repetition(configure, size, accumulate):
    config = configure(optimization={"batch": 8, "accumulate": accumulate})
    parts = [micro_batches(config, World(rank, size), step=4) for rank in range(size)]
    numbers = [n for of_rank in parts for part in of_rank for n in part]
    assert sorted(numbers) == list(range(32, 40))
    assert all(part for of_rank in parts for part in of_rank)
    assert max(len(of_rank) for of_rank in parts) <= accumulate


def test_crops_are_the_same_in_a_process_that_is_spawned(config, selection):
    # As on Windows and macOS, where a worker gets what was pickled.
    crops = CropDataset(config, selection.training)
    there = ForkingPickler.loads(ForkingPickler.dumps(crops))
    assert same(there[5], crops[5])


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_go_on_where_a_run_was_interrupted(configure, selection, workers):
    config = configure(workers=workers, optimization={"batch": 4, "accumulate": 2})
    batches = load_batches(config, selection.training, 0, World())
    steps = [next(batches) for _ in range(3)]
    resumed = next(load_batches(config, selection.training, 2, World()))
    assert [len(part.source) for part in resumed] == [2, 2]
    assert all(same(a, b) for a, b in zip(steps[2], resumed, strict=True))


def test_crop_without_augmentation_is_a_cutout():
    channels = torch.arange(100 * 90, dtype=torch.float32).reshape(1, 100, 90)
    crop = cut_crop(channels, (50.0, 45.0), 64, STILL, np.random.default_rng(0))
    torch.testing.assert_close(crop[0], channels[0, 18:82, 13:77], atol=0.01, rtol=0)


def test_source_changes_stay_in_range_and_inside_the_head():
    source = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[10:50, 10:50] = True
    rng = np.random.default_rng(0)
    for _ in range(20):
        varied = vary_source(source * inside, inside, Augmentation(blur=1.0, remap=1.0), rng)
        assert 0 <= varied.min() <= varied.max() <= 1
        assert not varied[:, ~inside].any()
    assert torch.equal(vary_source(source * inside, inside, STILL, rng), source * inside)


@pytest.fixture
def stripped_subject(tmp_path):
    """A head of 1 and 0.8 around a brain of 0.4 and 0.6; its lowest slice has no brain."""
    head = np.zeros((9, 64, 64), dtype=np.float32)
    head[:, 8:56, 8:56] = 1
    brain = np.zeros(head.shape, dtype=bool)
    brain[1:, 20:44, 20:44] = True
    images = {"T1": np.where(brain, 0.4, head), "T2": np.where(brain, 0.6, 0.8 * head)}
    images = {name: image.astype(np.float32) for name, image in images.items()}
    subject = PreparedSubject(
        "anna", images, dict.fromkeys(images, head > 0), np.diag([-1.0, -1, 1, 1]), [0, 4], brain
    )
    record = write_subject(tmp_path, subject, "phantom")
    write_manifest(
        tmp_path, [record], {"anna": "train"}, contrasts=("T1", "T2"), name="x", license_text="x"
    )
    return open_dataset(tmp_path).pairs("T1", ["T2", "PD"], "train", context=3)[0]


def test_stripped_crop_shows_the_brain_alone_on_its_own_scale(configure, stripped_subject):
    config = configure(
        context_slices=3,
        augmentation=OFF | {"strip": 1.0},
        optimization={"crop": 64, "steps": 0, "epochs": 1},
    )
    crops = CropDataset(config, [[stripped_subject]])
    below, middle = sorted((crops[0], crops[1]), key=lambda crop: int(crop.valid.sum()))[::-1]
    assert below.valid[0].sum() == 48 * 48  # no brain: the slice stays as it is
    assert middle.valid[0].sum() == 24 * 24
    inside = middle.valid[0]
    for channel in middle.source:
        assert torch.equal(channel > 0, inside)
        torch.testing.assert_close(channel[inside], torch.ones(24 * 24))
    torch.testing.assert_close(middle.targets[0][inside], torch.ones(24 * 24))
    assert not middle.valid[1].any()  # there is no PD


def test_crop_is_not_stripped_without_a_brain_mask(configure, selection):
    bert = selection.training[0][1]
    assert not bert.subject.has_brain
    config = configure(
        augmentation=OFF | {"strip": 1.0},
        optimization={"crop": 128, "steps": 0, "epochs": 1},
    )
    crops = CropDataset(config, [[bert]])
    found = sorted(int(crops[n].valid.sum()) for n in range(len(bert)))
    assert found == sorted(int(bert.read(n).foreground.sum()) for n in range(len(bert)))
