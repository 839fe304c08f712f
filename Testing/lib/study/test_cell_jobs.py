import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from SAMI2ILib.errors import CancelledError, InputError
from SAMI2ILib.evaluation.measured import MeasuredSystem
from SAMI2ILib.inference.device import select_device
from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.study import provenance
from SAMI2ILib.study.cell_jobs import (
    Workplace,
    evaluate_cell,
    feature_colors,
    first_stage,
    train_cell,
)
from SAMI2ILib.study.cells import Budget, Cell
from SAMI2ILib.study.jobs import JobContext
from SAMI2ILib.study.paper import Direction
from SAMI2ILib.study.pictures import _cut_like
from SAMI2ILib.study.smoke import smoke_table
from SAMI2ILib.training.config_file import parse_config

T1_T2 = Direction("T1", "T2")


def unet_config(data):
    table = smoke_table(Cell("unet", T1_T2), "paper", Budget(2, "steps"))
    return parse_config({**table, "data": [{"name": "ixi", "folder": str(data)}]})


def test_training_that_is_stopped_keeps_its_checkpoint(tmp_path, phantoms):
    context = JobContext(tmp_path, None, lambda: False)
    stopping = Workplace(select_device("cpu"), should_stop=lambda: True)
    with pytest.raises(CancelledError, match="Stopped after step 1; the checkpoint is written"):
        train_cell(context, unet_config(phantoms), stopping)
    done = train_cell(context, unet_config(phantoms), Workplace(select_device("cpu")))
    assert done["steps"] == 2
    assert (tmp_path / done["model"]).is_file()


def test_looking_at_a_plan_computes_nothing(tmp_path, phantoms):
    with pytest.raises(TypeError, match="can only look at a plan"):
        train_cell(JobContext(tmp_path, None, lambda: False), unet_config(phantoms), Workplace())


def test_test_subjects_that_cannot_be_measured_are_a_failure(
    tmp_path, phantoms, tiny_model_file, monkeypatch
):
    shutil.copy(tiny_model_file, tmp_path)
    plan = SimpleNamespace(
        result=lambda _: {"model": tiny_model_file.name}, folder=lambda _: tmp_path
    )
    monkeypatch.setattr(
        "SAMI2ILib.evaluation.measured.measure_system",
        lambda *_, **__: MeasuredSystem("x", {}, {"carl": "The target is black."}),
    )
    context = JobContext(tmp_path, plan, lambda: False)
    with pytest.raises(InputError, match="No test subject could be measured: The target is black"):
        evaluate_cell(context, "train", phantoms, T1_T2, Workplace(select_device("cpu")))


def test_first_stage_is_what_the_trunk_makes_of_the_slice(tiny_model_file):
    import torch

    network = load_model(str(tiny_model_file)).network.eval()
    source = np.random.default_rng(0).random((60, 64), dtype=np.float32)
    found = first_stage(network, source, 1, select_device("cpu"))
    padded = torch.from_numpy(np.pad(source, ((0, 4), (0, 0))))[None, None]
    with torch.no_grad():
        expected = network.encoder(padded)[0][0]  # no projection stands behind this trunk
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)
    assert found.shape == (8, 64, 64)


def test_colors_are_the_largest_components():
    rng = np.random.default_rng(1)
    ramp, step = np.linspace(-1, 1, 40), np.repeat([1.0, -1.0], 15)
    maps = np.zeros((5, 30, 40))
    maps[2] = 10 * ramp  # most of the variance: red rises from left to right
    maps[4] = 3 * step[:, None]  # next: green is in the upper half
    maps += 1e-3 * rng.standard_normal(maps.shape)
    colors = feature_colors(maps.astype(np.float32))
    assert colors.shape == (30, 40, 3)
    assert colors[:, 0, 0].max() < 10
    assert colors[:, -1, 0].min() > 245
    assert colors[:14, :, 1].min() > 200
    assert colors[16:, :, 1].max() < 50


def test_coarse_features_lie_on_the_part_of_the_slice_that_they_show():
    colors = np.arange(16 * 16 * 3).reshape(16, 16, 3)
    box = (slice(8, 24), slice(4, 60))
    part = _cut_like(colors, (62, 64), box)
    assert part.shape == (16, 56, 3)
    np.testing.assert_array_equal(part[0, 0], colors[2, 1])
    np.testing.assert_array_equal(part[-1, -1], colors[5, 14])


def test_commit_is_that_of_a_source_tree_only(tmp_path, request):
    assert provenance.commit(tmp_path) == ""
    (tmp_path / ".git").mkdir()  # not a repository
    assert provenance.commit(tmp_path) == ""
    if (request.config.rootpath / ".git").exists():
        assert len(provenance.commit(request.config.rootpath).split()[0]) == 40


def test_machine_and_software_are_named_without_the_machine_s_name():
    import platform

    facts = provenance.hardware("CPU") | provenance.software()
    assert platform.node() not in facts.values()
    assert facts["device"] == "CPU"
    assert "cores" in facts["processor"]
    assert facts["torch"].startswith("2.")


def test_equal_facts_are_told_once():
    one, two = {"torch": "2.9"}, {"torch": "2.10"}
    assert provenance.distinct([one, two, one]) == [one, two]
