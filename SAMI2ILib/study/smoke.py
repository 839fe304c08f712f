"""The whole reproduction in miniature: simulated heads, small slices, an eighth of all widths.

It shows that every cell of the tables can be trained, measured and drawn. Its figures say nothing
about the systems: the encoders hold random weights, and seconds of training teach nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from SAMI2ILib.atomic import atomic_path, make_folder, write_text
from SAMI2ILib.study.cells import Budget, Cell, training_table
from SAMI2ILib.study.jobs import JobContext

DEFAULT_BUDGET: Final = Budget(8.0, "seconds")
LONGEST_SECONDS: Final = 30.0
SIZE: Final = 64
"""Height and width of slices; the encoders take four times as much, 256."""
SUBJECTS: Final = 5
SPACING_MM: Final = 3.75
TEST_PART: Final = 0.4
ENCODER_NOTE: Final = "random weights"

_NARROWER: Final = 8
_SEED: Final = 20
_TRUNK_FILE: Final = "smoke-hiera.pt"

# `open_clip`'s descriptions of its models, with an eighth of the widths and as many heads.
_TEXT: Final = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
_VIT: Final = {"image_size": 224, "layers": 12, "width": 96, "head_width": 8}
CLIPS: Final[Mapping[str, Mapping[str, Any]]] = {
    "smoke-RN101": {"image_size": 224, "layers": [3, 4, 23, 3], "width": 8, "patch_size": None},
    "smoke-ViT-B-16": {**_VIT, "patch_size": 16},
    "smoke-ViT-B-32": {**_VIT, "patch_size": 32},
}
_ENCODERS: Final = {"rn101": "smoke-RN101", "vit-b-16": "smoke-ViT-B-16"}
_JUDGE: Final = "smoke-ViT-B-32"

_GENERATORS: Final[Mapping[str, dict[str, Any]]] = {
    "unet": {"width": 8},
    "pix2pix": {"width": 8, "depth": 6},
    "cyclegan": {"width": 8},
    "resvit": {"width": 8, "hidden": 96, "mlp": 384, "grid": 4},
}


def smoke_table(cell: Cell, recipe: str, budget: Budget | None = None) -> dict[str, Any]:
    """The training configuration of a cell in miniature, without its data and encoders."""
    table = training_table(cell, recipe, budget or DEFAULT_BUDGET) | {
        "name": f"smoke-{cell.system}-s{cell.seed}",
        "title": f"{cell.compared.title}, smoke test",
        "tile": SIZE,
        "workers": 0,
        "tensorboard": False,
        "sample_images": 0,
        "checkpoint_minutes": 0.05,
        "license": "CC0-1.0",
    }
    table["optimization"]["crop"] = SIZE
    if table["family"] != "sam-i2i":
        table["generator"] = _GENERATORS[cell.system]
        table["baseline"] = {"judge_width": 64 // _NARROWER, "pretrained": False}
        return table
    clip = _ENCODERS.get(cell.system)
    table["encoder"] = {
        "variant": f"clip:{clip}" if clip else "custom",
        "hiera": _hiera(),
        "checkpoint": "",
        "frozen": True,
    }
    table["discriminator"] = {"clip": _JUDGE}
    return table


def with_random_encoders(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Say where the random encoders lie, and make their sizes known to `open_clip`.

    Args:
        table: As `smoke_table` gives it.
        folder: Of the job that made them.
    """
    register_clips(folder)
    if table["family"] != "sam-i2i":
        return dict(table)
    name = table["encoder"]["variant"].removeprefix("clip:")
    own = folder / (f"{name}.pt" if name in CLIPS else _TRUNK_FILE)
    return {
        **table,
        "encoder": {**table["encoder"], "checkpoint": str(own)},
        "discriminator": {**table["discriminator"], "checkpoint": str(folder / f"{_JUDGE}.pt")},
    }


def register_clips(folder: Path) -> None:
    """Tell `open_clip` of the small models, by their descriptions in a folder."""
    from SAMI2ILib.models.clip import import_open_clip

    import_open_clip().add_model_config(folder)


def make_random_encoders(context: JobContext) -> dict[str, Any]:
    """Write a trunk and three CLIPs with random weights, and their descriptions."""
    import torch

    from SAMI2ILib.models.clip import ClipConfig, draw_clip
    from SAMI2ILib.models.trunk import TRUNK_PREFIX, build_trunk
    from SAMI2ILib.models.variants import HieraConfig

    folder = context.folder
    for name, vision in CLIPS.items():
        description = {"embed_dim": 64, "vision_cfg": vision, "text_cfg": _TEXT}
        write_text(json.dumps(description) + "\n", folder / f"{name}.json")
    register_clips(folder)
    torch.manual_seed(_SEED)
    trunk = build_trunk(HieraConfig.from_json(_hiera()))
    state = {f"{TRUNK_PREFIX}{name}": value for name, value in trunk.state_dict().items()}
    with atomic_path(folder / _TRUNK_FILE) as partial:
        torch.save({"model": state}, partial)
    for name in CLIPS:
        with atomic_path(folder / f"{name}.pt") as partial:
            torch.save(draw_clip(ClipConfig(name, "")), partial)
    return {"weights": ENCODER_NOTE, "seed": _SEED}


def make_dataset(context: JobContext) -> dict[str, Any]:
    """Simulate a small folder like IXI and prepare it: register, mask, slice, split."""
    from SAMI2ILib.data.preparation.cases import choose
    from SAMI2ILib.data.preparation.ixi import CONTRASTS, find_ixi
    from SAMI2ILib.data.preparation.run import Description, prepare_dataset
    from SAMI2ILib.data.preparation.settings import PreparationSettings
    from SAMI2ILib.data.preparation.split import SplitRule
    from SAMI2ILib.data.simulation.ixi import simulate_ixi
    from SAMI2ILib.data.simulation.sources import mix_sources

    scans, dataset = context.folder / "ixi", context.folder / "dataset"
    make_folder(scans)
    heads = mix_sources([], 1.0, SUBJECTS)
    simulate_ixi(scans, sources=heads, count=SUBJECTS, seed=_SEED, matrix=SIZE)
    settings = PreparationSettings(
        CONTRASTS, "T2", {"PD": "T2"}, spacing_mm=SPACING_MM, check_sides=False
    )
    report = prepare_dataset(
        choose(find_ixi([scans]), settings.contrasts, settings.grid),
        settings,
        SplitRule(TEST_PART, 0.0, _SEED),
        dataset,
        description=Description("simulated IXI", "CC0-1.0"),
    )
    return {"dataset": report.dataset.id, "subjects": len(report.dataset.subjects)}


def _hiera() -> dict[str, Any]:
    """SAM2's `base_plus` with an eighth of its width and all its blocks and heads."""
    from SAMI2ILib.models.variants import HIERA_VARIANTS

    full = HIERA_VARIANTS["base_plus"]
    return json.loads(json.dumps(asdict(replace(full, embed_dim=full.embed_dim // _NARROWER))))  # type: ignore[no-any-return]
