"""From a configuration to model files in one call, once and again, alone and beside others."""

from dataclasses import replace

import pytest

from SAMI2ILib.inference.device import select_device
from SAMI2ILib.training.run import run_training
from SAMI2ILib.weights import read_spec


def test_finished_run_only_writes_its_models_again(config, tmp_path):
    device = select_device("cpu", "fp32")
    first = run_training(config, tmp_path, device)
    model = first.model_of("PD")
    assert read_spec(model).target_contrast == "PD"
    model.unlink()
    again = run_training(config, tmp_path, device, start_from=tmp_path / "gone")
    assert again.result.state.step == first.result.state.step
    assert model.is_file()


def test_only_the_main_process_has_model_files(config, tmp_path):
    done = replace(run_training(config, tmp_path, select_device("cpu", "fp32")), files=None)
    with pytest.raises(RuntimeError, match="Only the main process"):
        done.model_of("T2")
