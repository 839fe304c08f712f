"""A whole run in small: prepare, train, resume, export, translate."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from SAMI2ILib.errors import InputError
from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.training.augment import cut_crop, vary_source
from SAMI2ILib.training.config import Augmentation, DecoderOptions, parse_config
from SAMI2ILib.training.crops import CropDataset, Crops
from SAMI2ILib.training.export import export_models
from SAMI2ILib.training.loop import TrainingSubjects, load_result, train
from SAMI2ILib.training.losses import foreground_dissimilarity, foreground_l1
from SAMI2ILib.training.selection import select_subjects
from SAMI2ILib.training.slices import prepare_slices
from SAMI2ILib.training.validation import mean_intensities, validate

STILL = Augmentation(
    flip=0, rotation_deg=0, scale=0, remap=0, gamma=0, dark_floor=0, bias=0, noise=0, blur=0
)


@pytest.fixture
def config(recipe, cohort):
    data = [{"name": "phantoms", "folder": str(cohort), "license": "CC0-1.0"}]
    return parse_config(recipe | {"data": data})


@pytest.fixture
def subjects(config, tmp_path):
    chosen = select_subjects(config).training[0]
    stacks = prepare_slices(chosen, "T1", ("T2", "PD"), tmp_path / "slices", processes=1)
    return TrainingSubjects([stacks])


def test_prepared_slices_are_what_the_network_sees_at_inference(subjects):
    anna, bert = subjects.training[0]
    channels = anna.read(len(anna) // 2)
    source, foreground, t2, pd = channels
    assert set(np.unique(foreground)) <= {0, 1}
    assert not source[foreground == 0].any()
    assert source.max() == pytest.approx(1, abs=1e-3)
    # T2 was made as 900 - T1: dark where the T1 is bright
    inside = foreground > 0
    assert np.corrcoef(source[inside], t2[inside])[0, 1] < -0.95
    assert np.nanmax(pd) == pytest.approx(1, abs=1e-3)
    assert np.isnan(bert.read(0)[3]).all()


def test_prepared_slices_are_used_again_until_a_file_changes(config, cohort, tmp_path):
    def prepare():
        told = []
        prepare_slices(
            select_subjects(config).training[0], "T1", ("T2", "PD"), tmp_path / "s", 1,
            lambda done, total: told.append((done, total)),
        )  # fmt: skip
        return told[0]

    assert prepare() == (0, 2)
    assert prepare() == (2, 2)
    (cohort / "bert" / "T2.nii.gz").unlink()
    assert prepare() == (1, 2)


def test_broken_subject_is_named(config, cohort, tmp_path):
    (cohort / "bert" / "T2.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputError, match="Subject 'bert' cannot be prepared"):
        prepare_slices(
            select_subjects(config).training[0], "T1", ("T2", "PD"), tmp_path / "s", processes=1
        )


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


def test_neighbors_are_the_slices_before_and_after_and_repeat_at_the_ends(subjects):
    anna = subjects.training[0][0]
    last = len(anna) - 1
    sources = [anna.read(number)[0] for number in range(len(anna))]
    np.testing.assert_array_equal(anna.read_neighbors(2), np.stack(sources[1:4]))
    expected = np.stack([sources[last - 2], sources[last], sources[last]])
    np.testing.assert_array_equal(anna.read_neighbors(last, distance=2), expected)
    np.testing.assert_array_equal(anna.read_neighbors(1, distance=0), np.stack([sources[1]] * 3))


def test_crop_with_context_has_the_slice_in_the_middle(subjects):
    stacks, still = [[subjects.training[0][0]]], replace(STILL, context=0)
    alone = CropDataset(stacks, [1.0], 64, still, seed=1)
    between = CropDataset(stacks, [1.0], 64, replace(STILL, context=1.0), seed=1, context=3)
    distances = set()
    for number in range(12):
        crop = between[number]
        assert crop.source.shape == (3, 64, 64)
        inside = crop.valid[0]
        distances.add(torch.equal(crop.source[0][inside], crop.source[1][inside]))
    assert distances == {True, False}  # the slice itself, or one further away
    together = CropDataset(stacks, [1.0], 64, still, seed=1, context=3)
    shapes = {tuple(alone[number].source.shape) for number in range(3)}
    assert shapes == {(1, 64, 64)}
    assert not torch.equal(together[0].source[0], together[0].source[2])


def test_dissimilarity_is_one_minus_the_ssim_of_scikit_image():
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(0)
    truth = rng.random((24, 24)).astype(np.float32)
    predicted = np.clip(truth + rng.normal(0, 0.1, truth.shape), 0, 1).astype(np.float32)
    valid = torch.ones(2, 1, 24, 24, dtype=torch.bool)
    valid[1] = False  # a crop without this target counts nothing
    crops = Crops(
        torch.zeros(2, 1, 24, 24),
        torch.stack([torch.from_numpy(truth), torch.zeros(24, 24)])[:, None],
        valid,
    )
    prediction = torch.from_numpy(np.stack([predicted, truth]))[:, None]
    got = foreground_dissimilarity(prediction, crops).item()
    # scikit-image's mean leaves out the rim where the window does not fit, as we do
    expected = 1 - structural_similarity(
        predicted, truth, data_range=1, win_size=7, use_sample_covariance=False
    )
    assert got == pytest.approx(expected, abs=1e-5)


def test_crop_number_decides_its_content(subjects):
    crops = CropDataset(subjects.training, [1.0], 64, Augmentation(), seed=3)
    for first, second in zip(crops[5], crops[5], strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(crops[5].source, crops[6].source)


def test_contrast_that_a_subject_lacks_counts_nothing(subjects):
    crops = CropDataset([[subjects.training[0][1]]], [1.0], 64, STILL, seed=0)
    assert crops[0].valid[0].any()
    assert not crops[0].valid[1].any()


def test_loss_is_the_mean_error_of_each_crop_in_its_foreground():
    valid = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    valid[0, 0, 0, 0] = True
    valid[1] = True
    crops = Crops(torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2), valid)
    prediction = torch.full((2, 1, 2, 2), 0.2)
    prediction[0, 0, 0, 0] = 0.6
    losses, counts = foreground_l1(prediction, crops)
    assert losses.item() == pytest.approx((0.6 + 0.2) / 2)
    assert counts.item() == 5


def test_mean_intensity_counts_the_foreground_only(subjects):
    means = mean_intensities(subjects.training[0], ("T2", "PD"))
    assert means["PD"] == pytest.approx(0.99)  # constant 1, kept off 1
    assert 0.2 < means["T2"] < 0.8


def test_run_learns_is_exported_and_translates(config, subjects, tmp_path):
    result = train(config, subjects, tmp_path)
    assert (result.state.step, result.state.finished) == (3, True)
    assert np.isfinite(
        list(validate(result.network, subjects.training[0], ("T2", "PD")).values())
    ).all()
    files = export_models(config, result, subjects, tmp_path)
    assert [path.name for path in files.models] == [
        "trial-t1-t2.safetensors",
        "trial-t1-pd.safetensors",
    ]
    model = load_model(files.models[1])
    assert model.spec.training.recipe["steps_done"] == 3
    assert model.spec.training.data[0].license == "CC0-1.0"
    assert "folder" not in model.spec.training.recipe["data"][0]
    slices = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        expected = result.network.eval()(slices)[:, 1:]
        got = model.network(slices)
    torch.testing.assert_close(got, expected, atol=5e-3, rtol=0)  # float16 on disk


def test_network_with_every_switch_is_trained_exported_and_translates(config, subjects, tmp_path):
    options = DecoderOptions(depth=2, shifted_windows=True, encoder_upscale=2, detail_width=8)
    optimization = replace(config.optimization, ssim=0.1)
    switched = replace(config, decoder=options, context_slices=3, optimization=optimization)
    result = train(switched, replace(subjects, validation=subjects.training[0]), tmp_path)
    assert set(result.state.validation) == {"T2", "PD"}
    model = load_model(export_models(switched, result, subjects, tmp_path).models[0])
    assert model.spec.preprocessing.context_slices == 3
    slices = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = result.network.eval()(slices)[:, :1]
        got = model.network(slices)
    torch.testing.assert_close(got, expected, atol=5e-3, rtol=0)  # float16 on disk


def test_interrupted_run_ends_with_the_same_weights(config, subjects, tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = train(config, subjects, tmp_path / "whole")
    stopped = train(config, subjects, tmp_path / "parts", should_stop=lambda: True)
    assert (stopped.state.step, stopped.state.finished) == (1, False)
    resumed = train(config, subjects, tmp_path / "parts")
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    assert torch.equal(
        load_result(config, tmp_path / "parts").network.encoder.trunk.pos_embed,
        whole.network.encoder.trunk.pos_embed,
    )


def test_new_run_starts_from_the_weights_of_another(config, subjects, tmp_path):
    for name in ("first", "second", "empty"):
        (tmp_path / name).mkdir()
    first = train(config, subjects, tmp_path / "first")
    still = replace(config, optimization=replace(config.optimization, learning_rate=1e-12, ema=0.0))
    second = train(still, subjects, tmp_path / "second", start_from=tmp_path / "first")
    for name, value in first.network.state_dict().items():
        torch.testing.assert_close(value, second.network.state_dict()[name], atol=1e-8, rtol=1e-6)
    with pytest.raises(InputError, match="holds no checkpoint to start from"):
        train(config, subjects, tmp_path / "second", start_from=tmp_path / "empty")
    other = replace(config, decoder=DecoderOptions(depth=2))
    with pytest.raises(InputError, match="trained another network"):
        train(other, subjects, tmp_path / "empty", start_from=tmp_path / "first")


def test_folder_of_another_run_is_refused(config, subjects, tmp_path):
    train(config, subjects, tmp_path, should_stop=lambda: True)
    with pytest.raises(InputError, match="holds a run of another configuration"):
        train(replace(config, seed=9), subjects, tmp_path)


def test_damaged_checkpoint_is_said(config, subjects, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(InputError, match="is damaged"):
        train(config, subjects, tmp_path)
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(InputError, match="holds no checkpoint yet"):
        load_result(config, tmp_path)


def test_file_that_is_no_checkpoint_of_a_run_is_said(config, subjects, tmp_path):
    torch.save([1, 2], tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="is not one of a training run"):
        train(config, subjects, tmp_path)


def test_run_whose_loss_explodes_ends_with_a_sentence(config, subjects, tmp_path):
    wild = replace(config, optimization=replace(config.optimization, learning_rate=1e30))
    with pytest.raises(InputError, match="no finite number any more at step 3"):
        train(wild, subjects, tmp_path)
