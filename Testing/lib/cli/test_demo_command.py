"""`sami2i demo` on a head of the user's, and on one that stands for the simulated one."""

import json
import shutil

from skimage.io import imread

from Testing.lib.files import names_in


def test_demo_translates_and_draws_the_head_that_is_given(sami2i, head_file, tmp_path):
    outcome = sami2i("demo", "--input", head_file, "-o", tmp_path / "out", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert names_in(tmp_path / "out") == [
        "demo-PD.png",
        "demo-T2.png",
        "head_synth-PD.json",
        "head_synth-PD.nii.gz",
        "head_synth-T2.json",
        "head_synth-T2.nii.gz",
    ]
    for target in ("T2", "PD"):
        record = json.loads((tmp_path / f"out/head_synth-{target}.json").read_text())
        assert (record["synthetic"], record["target_contrast"]) == (True, target)
    picture = imread(tmp_path / "out/demo-T2.png")
    assert picture.shape[1] > 600
    assert picture[..., :3].std() > 20


def test_simulated_head_is_measured_and_not_doubted(sami2i, head_file, tmp_path, monkeypatch):
    folder = tmp_path / "simulated"
    folder.mkdir()
    for name in ("T1", "T2", "PD", "brain"):
        shutil.copy(head_file, folder / f"{name}.nii.gz")
    simulate = "SAMI2ILib.cli.demo._simulate"
    monkeypatch.setattr(simulate, lambda _folder, _console: folder / "T1.nii.gz")
    outcome = sami2i("demo", "-o", tmp_path / "out", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert "warning" not in outcome.err  # as a scan it would be: it is no head
    figures = json.loads((tmp_path / "out/metrics.json").read_text())
    assert 0 < figures["T2"]["brain"]["nrmse"] < 10
