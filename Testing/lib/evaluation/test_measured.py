"""Systems measured on a prepared dataset, against scikit-image called by hand."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from skimage.metrics import (
    normalized_root_mse,
    peak_signal_noise_ratio,
    structural_similarity,
)

from SAMI2ILib.data.dataset import open_dataset
from SAMI2ILib.errors import InputError, ModelError
from SAMI2ILib.evaluation.measured import MeasuredSystem, measure_system, measure_systems
from SAMI2ILib.evaluation.prepared_pairs import read_prepared_pair
from SAMI2ILib.evaluation.systems import LookupTableSystem, ModelSystem
from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.inference.predictor import Predictor
from SAMI2ILib.inference.translate import translate
from SAMI2ILib.weights import Normalization


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, make_dataset):
    """`anna` has a brain mask, `bert` has none."""
    folder = tmp_path_factory.mktemp("data")
    return open_dataset(make_dataset(folder, {"anna": "T1 T2 PD", "bert": "T1 T2"}))


class Copy:
    """Predicts from the source in ways that a test knows."""

    def __init__(self, name, change=lambda pair: pair.source.array_kji):
        self.name, self.predict = name, change


def test_figures_are_those_of_scikit_image_called_by_hand(dataset):
    anna = dataset.by_name["anna"]
    measured = measure_system(Copy("copy"), [anna], "T1", "T2").subjects["anna"]
    inside, brain = anna.foreground("T1"), anna.brain()
    source = np.float64(np.nan_to_num(np.float32(anna.volume("T1")))) * inside
    target = np.float64(np.float32(anna.volume("T2"))) * inside
    chosen = [k for k in range(len(brain)) if brain[k].mean() > 0.05]
    assert [row["k"] for row in measured.slices] == chosen

    def mean(function, mask=None):
        pairs = [(target[k], source[k]) for k in chosen]
        if mask is not None:
            pairs = [(target[k][mask[k]], source[k][mask[k]]) for k in chosen]
        return np.mean([function(truth, guess) for truth, guess in pairs])

    def psnr(truth, guess):
        return peak_signal_noise_ratio(truth, guess, data_range=1)

    def mae(truth, guess):
        return np.abs(truth - guess).mean()

    by_hand = {
        "full_psnr": mean(psnr),
        "full_ssim": mean(lambda a, b: structural_similarity(a, b, data_range=1)),
        "full_nrmse": mean(normalized_root_mse),
        "full_mae": mean(mae),
        "brain_psnr": mean(psnr, brain),
        "brain_nrmse": mean(normalized_root_mse, brain),
        "brain_mae": mean(mae, brain),
        "volume_full_psnr": psnr(target[chosen], source[chosen]),
        "volume_full_nrmse": normalized_root_mse(target[chosen], source[chosen]),
        "target_rms": np.sqrt((target[chosen] ** 2).mean()),
    }
    error = source - target
    both = brain[1:] & brain[:-1]
    by_hand["flicker"] = np.abs(np.diff(error, axis=0))[both].mean()
    assert {key: measured.figures[key] for key in by_hand} == pytest.approx(by_hand, rel=1e-5)
    maps = [structural_similarity(target[k], source[k], data_range=1, full=True)[1] for k in chosen]
    in_brain = np.mean([ssim[brain[k]].mean() for k, ssim in zip(chosen, maps, strict=True)])
    assert measured.figures["brain_ssim"] == pytest.approx(in_brain, rel=1e-5)


def test_identical_predictions_score_identically_whatever_made_them(dataset, tiny_model_file):
    model = ModelSystem(load_model(tiny_model_file))
    made = {}

    def remember(pair):
        made[pair.subject] = model.predict(pair)
        return made[pair.subject]

    systems = [Copy("sam-i2i", remember), Copy("cyclegan", lambda pair: made[pair.subject])]
    first, second = measure_systems(systems, dataset.subjects, "T1", "T2")
    assert first.subjects == second.subjects
    assert first.subjects.keys() == {"anna", "bert"}


def test_model_sees_the_prepared_values_and_gives_what_translate_gives(dataset, tiny_model_file):
    pair = read_prepared_pair(dataset.by_name["anna"], "T1", "T2")
    model = load_model(tiny_model_file)
    # a scan whose foreground has 1 as its percentile is its own normalized volume
    whole = translate(pair.source, model).volume.array_kji / 1000
    found = ModelSystem(model).predict(pair)
    assert found.shape == whole.shape
    assert np.abs(found - whole)[pair.region].max() < 0.02
    assert found[pair.region].std() > 0


def test_neighbors_of_the_outermost_slices_are_those_of_the_whole_volume(dataset, tiny_model_file):
    pair = read_prepared_pair(dataset.by_name["anna"], "T1", "T2")
    empty = pair.source.array_kji.copy()
    empty[:3], empty[6:] = 0, 0
    pair = replace(pair, source=pair.source.with_array(empty), foreground=empty > 0)
    seen = []

    class Recorder(Predictor):
        batch_size = 1

        def predict(self, batch):
            seen.append(batch)
            return batch[:, 1]

    model = load_model(tiny_model_file)
    preprocessing = replace(model.spec.preprocessing, context_slices=3)
    model = replace(model, spec=replace(model.spec, preprocessing=preprocessing))
    prediction = ModelSystem(model, Recorder()).predict(pair)
    np.testing.assert_array_equal(prediction, empty)
    bottom = next(batch for batch in seen if batch[0, 1].any())
    assert not bottom[0, 0].any()  # below lies an empty slice, not the outermost one again


def test_model_with_another_percentile_is_refused(tiny_model_file):
    model = load_model(tiny_model_file)
    other = replace(model.spec.preprocessing, normalization=Normalization(percentile=99.0))
    model = replace(model, spec=replace(model.spec, preprocessing=other))
    with pytest.raises(ModelError, match=r"99th percentile, but datasets.*--subjects"):
        ModelSystem(model)


def test_lookup_table_is_one_more_system(dataset):
    pairs = [read_prepared_pair(subject, "T1", "T2") for subject in dataset.subjects]
    system = LookupTableSystem.fit(pairs)
    # the phantoms' T2 is 1.1 - T1 in the head, so that a curve can say all of it
    measured = measure_system(system, dataset.subjects, "T1", "T2")
    assert measured.system == "lookup-table"
    assert all(one.figures["brain_nrmse"] < 0.01 for one in measured.subjects.values())
    assert not system.predict(pairs[0])[~pairs[0].foreground].any()


def test_subject_without_a_brain_mask_is_measured_in_the_head(dataset):
    measured = measure_system(Copy("copy"), dataset.subjects, "T1", "T2").subjects
    assert {name: one.region for name, one in measured.items()} == {"anna": "brain", "bert": "head"}


def test_what_was_not_scanned_does_not_count(dataset):
    pair = read_prepared_pair(dataset.by_name["anna"], "T1", "T2")
    measured = pair.measured.copy()
    measured[:, :30] = False
    cut = replace(pair, measured=measured)
    right = np.where(measured, pair.target, 0.7).astype(np.float32)
    scores = cut.measure(right).scores
    assert (scores.full.nrmse, scores.brain.mae) == (0, 0)
    assert scores.full.ssim == pytest.approx(1)


def test_air_of_the_target_counts_only_when_it_is_kept(dataset):
    anna = dataset.by_name["anna"]
    noisy = anna.volume("T2").astype(np.float16).copy()
    noisy[~anna.foreground("T1")] = 0.1
    noisy[0, 0, 0] = np.nan
    subject = SimpleNamespace(
        name="anna", ijk_to_ras=anna.ijk_to_ras, foreground=anna.foreground, brain=anna.brain,
        volume=lambda contrast: noisy if contrast == "T2" else anna.volume("T1"),
    )  # fmt: skip
    without, kept = (
        read_prepared_pair(subject, "T1", "T2", keep_background=keep) for keep in (False, True)
    )
    assert without.target[0, 0, 1] == 0
    assert kept.target[0, 0, 1] == pytest.approx(0.1, abs=1e-3)
    assert (kept.target[0, 0, 0], kept.measured[0, 0, 0]) == (0, False)
    np.testing.assert_array_equal(without.target[without.region], kept.target[kept.region])


def test_slices_with_a_black_target_are_left_out_and_named(dataset):
    pair = read_prepared_pair(dataset.by_name["anna"], "T1", "T2")
    target = pair.target.copy()
    target[4] = 0
    measurement = replace(pair, target=target).measure(pair.source.array_kji)
    assert measurement.left_out == (4,)
    assert 4 not in [one.k for one in measurement.slices]


def test_constant_target_has_figures(dataset):
    pair = read_prepared_pair(dataset.by_name["anna"], "T1", "PD")  # 0.5 in the whole head
    scores = pair.measure(np.full(pair.target.shape, 0.4, np.float32)).scores
    assert scores.brain.nrmse == pytest.approx(0.2, rel=1e-3)
    assert scores.brain.psnr == pytest.approx(20, abs=0.01)
    assert scores.flicker_target == 0


def test_subject_that_shows_no_brain_or_is_black_is_said_and_passed_over(dataset):
    anna, bert = dataset.subjects
    nobody = SimpleNamespace(
        name="nobody", ijk_to_ras=anna.ijk_to_ras, volume=anna.volume, foreground=anna.foreground,
        brain=lambda: np.zeros(anna.shape_kji, bool),
    )  # fmt: skip
    black = SimpleNamespace(
        name="black", ijk_to_ras=anna.ijk_to_ras, foreground=anna.foreground, brain=anna.brain,
        volume=lambda contrast: anna.volume("T1") * (contrast == "T1"),
    )  # fmt: skip
    calls = []
    measured = measure_systems(
        [Copy("a"), Copy("b")], [nobody, bert, black], "T1", "T2",
        on_progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    for system in measured:
        assert list(system.subjects) == ["bert"]
        assert system.not_measured == {
            "nobody": "No slice holds more than 5 % brain, so there is nothing to measure.",
            "black": "The target is 0 everywhere in the brain.",
        }
    assert calls[-1] == (6, 6)


def test_measured_system_survives_json(dataset):
    measured = measure_systems(
        [Copy("copy")], dataset.subjects, "T1", "T2", facts={"copy": {"sha256": "0" * 64}}
    )
    (system,) = measured
    again = MeasuredSystem.from_json(json.loads(json.dumps(system.to_json(), allow_nan=False)))
    assert again == system
    assert again.rows["anna"]["flicker"] == system.subjects["anna"].figures["flicker"]


def test_two_systems_of_one_name_are_refused(dataset):
    with pytest.raises(InputError, match="Two systems are called 'copy'"):
        measure_systems([Copy("copy"), Copy("copy")], dataset.subjects, "T1", "T2")


def test_prediction_that_is_not_finite_is_refused(dataset):
    broken = Copy("broken", lambda pair: pair.source.array_kji + np.float32(np.nan))
    with pytest.raises(InputError, match="NaN or infinity"):
        measure_system(broken, dataset.subjects, "T1", "T2")
