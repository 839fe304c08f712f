"""Presets of the compared systems: `paper` as that of SAM-I2I, `native` as their own authors."""

from collections.abc import Mapping
from typing import Any, Final

from SAMI2ILib.training.config import BUDGET_KEYS

Preset = Mapping[str, Any]

# What is minimized, on images in [0, 1]: the papers' 100 x L1, and CycleGAN's 10 x cycle and
# 5 x identity, are of images in [-1, 1], where an error is twice as large.
_LOSSES: Final[dict[str, Preset]] = {
    "unet": {"optimization": {"l1": 1.0, "adversarial": 0.0}},
    "pix2pix": {
        "optimization": {"l1": 200.0, "adversarial": 1.0},
        "discriminator": {"loss": "nonsaturating"},
    },
    "cyclegan": {
        "optimization": {"l1": 0.0, "adversarial": 1.0},
        "discriminator": {"loss": "least-squares"},
        "baseline": {"cycle": 20.0, "identity": 10.0, "pool": 50},
    },
    "resvit": {
        "optimization": {"l1": 200.0, "adversarial": 1.0},
        "discriminator": {"loss": "least-squares"},
        # 50 + 50 epochs without the transformer, 25 + 25 with it
        "baseline": {"first_stage": 2 / 3},
    },
}

NO_AUGMENTATION: Final = {
    "flip": 0.0, "rotation_deg": 0.0, "scale": 0.0, "remap": 0.0, "gamma": 0.0, "dark_floor": 0.0,
    "bias": 0.0, "noise": 0.0, "blur": 0.0, "context": 0.0, "strip": 0.0,
}  # fmt: skip

_COMMON: Final[Preset] = {
    "targets": ["T2"],
    "optimization": {"region": "image", "clip": 0.0, "weight_decay": 0.0, "warm_up": 0.0},
    "discriminator": {"augment": [], "betas": [0.5, 0.999]},
}

# Sec. 3 of SAM-I2I: "all models" by Adam with 2e-5, 20 epochs, batches of 2.
_PAPER: Final[Preset] = {
    "train_parts": ["train", "validation"],
    "optimization": {
        "epochs": 20.0, "batch": 2, "crop": 256, "learning_rate": 2e-5, "schedule": "constant",
        "betas": [0.9, 0.999],
    },
    "discriminator": {"learning_rate": 2e-5},
    "augmentation": NO_AUGMENTATION,
}  # fmt: skip

_NATIVE: Final[Preset] = {
    "train_parts": ["train", "validation"],
    "optimization": {
        "epochs": 200.0, "batch": 1, "crop": 256, "learning_rate": 2e-4, "schedule": "linear",
        "betas": [0.5, 0.999],
    },
    "discriminator": {"learning_rate": 2e-4},
    "augmentation": {**NO_AUGMENTATION, "flip": 0.5},
}  # fmt: skip

_NATIVE_CHANGES: Final[dict[str, Preset]] = {
    # its authors segment: it is trained as the row of Pix2Pix's table that has L1 alone
    "unet": {},
    "pix2pix": {"generator": {"instance_norm": True}},
    "cyclegan": {},
    "resvit": {
        "optimization": {"epochs": 150.0},
        "baseline": {"second_rate": 5.0},
    },
}

_DEMO: Final[Preset] = {
    "optimization": {"learning_rate": 2e-4, "betas": [0.5, 0.999]},
    "discriminator": {"learning_rate": 2e-4},
}

# one value a channel is left of it at the bottom, as in the paper
_DEMO_CHANGES: Final[dict[str, Preset]] = {"pix2pix": {"optimization": {"crop": 256}}}

_IMAGENET: Final[Preset] = {"baseline": {"pretrained": True}}


def baseline_preset(family: str, recipe: str) -> dict[str, Any] | None:
    """The keys that a compared system's recipe sets.

    Args:
        family: One of the compared systems.
        recipe: "demo", "paper" or "native".

    Returns:
        A table; None where there is no such recipe.
    """
    layers: dict[str, list[Preset]] = {
        "demo": [_DEMO, _DEMO_CHANGES.get(family, {})],
        "paper": [_PAPER],
        "native": [_NATIVE, _NATIVE_CHANGES[family]],
    }
    if recipe not in layers:
        return None
    preset: dict[str, Any] = {}
    starts = [_IMAGENET] if family == "resvit" and recipe != "demo" else []
    for layer in (_COMMON, _LOSSES[family], *starts, *layers[recipe]):
        preset = merge_tables(preset, layer)
    return preset


def merge_tables(below: Preset, above: Preset) -> dict[str, Any]:
    """Lay one table over another, table by table; a budget replaces any other budget."""
    merged = {key: dict(v) if isinstance(v, Mapping) else v for key, v in below.items()}
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            if any(budget in value for budget in BUDGET_KEYS):
                for budget in BUDGET_KEYS:
                    merged[key].pop(budget, None)
            merged[key] = merge_tables(merged[key], value)
        else:
            merged[key] = dict(value) if isinstance(value, Mapping) else value
    return merged
