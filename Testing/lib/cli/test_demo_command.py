"""`sami2i demo` on a head of the user's."""

import json

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
