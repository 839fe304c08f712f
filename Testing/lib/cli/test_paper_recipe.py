"""The whole recipe of the paper at its own input size, on weights of random values."""

import logging

import pytest
import torch

from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.models import HIERA_VARIANTS, build_trunk
from SAMI2ILib.models.trunk import TRUNK_PREFIX
from SAMI2ILib.weights import read_spec


@pytest.fixture
def sam2_checkpoint(private_store):
    """An official-layout checkpoint in the user's store, where `models download` would put it."""
    torch.manual_seed(0)
    trunk = build_trunk(HIERA_VARIANTS["tiny"]).state_dict()
    model = {TRUNK_PREFIX + name: value for name, value in trunk.items()}
    model["sam_mask_decoder.iou_token.weight"] = torch.zeros(1, 256)  # what is not the trunk's
    torch.save({"model": model}, private_store / "sam2.1_hiera_tiny.pt")
    return "sam2.1_hiera_tiny"


@pytest.fixture
def clip_checkpoint(tmp_path):
    """A whole CLIP as `open_clip` saves it."""
    import open_clip

    torch.manual_seed(1)
    logging.disable(logging.WARNING)
    model = open_clip.create_model("ViT-B-32", pretrained=None)
    logging.disable(logging.NOTSET)
    torch.save({n: v.half() for n, v in model.state_dict().items()}, tmp_path / "clip.pt")
    return tmp_path / "clip.pt"


@pytest.mark.slow
def test_paper_recipe_runs_whole_at_1024(
    sami2i, make_dataset, sam2_checkpoint, clip_checkpoint, tmp_path
):
    data = make_dataset(tmp_path / "data", {"anna": "T1 T2"}, shape_kji=(4, 256, 256))
    run = tmp_path / "run"
    outcome = sami2i(
        "train", "--recipe", "paper", "--data", data, "-o", run, "--device", "cpu",
        "--encoder", "tiny", "--encoder-checkpoint", sam2_checkpoint, "--steps", "2",
        "--clip-checkpoint", clip_checkpoint, "--set", "bf16=false", "--set", "log_every=1",
        "--workers", "0",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "Steps       2 (2 epochs) of 2 crops of 256x256" in outcome.err
    assert "26.85 M frozen; 3.67 M of the discriminator" in outcome.err
    header, *rows = (run / "training.csv").read_text().splitlines()
    assert header == "step,seconds,learning_rate,l1_T2,adversarial_T2,discriminator_T2"
    assert [row.split(",")[2] for row in rows] == ["2.000e-05"] * 2
    assert rows[0].split(",")[3:] != rows[1].split(",")[3:]
    checkpoint = torch.load(run / "checkpoint.pt", weights_only=True)
    assert not any(name.startswith("encoder.trunk") for name in checkpoint["network"])
    path = run / "my-paper-t1-t2.safetensors"
    spec = read_spec(path)
    assert (spec.encoder.kind, spec.encoder.name) == ("public", sam2_checkpoint)
    assert spec.training.recipe["label"].startswith("paper with encoder.variant = tiny, ")
    assert path.stat().st_size < 20_000_000  # the decoder alone
    assert load_model(path).network.encoder.frozen
