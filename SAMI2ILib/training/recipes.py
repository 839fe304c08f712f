"""The named recipes: presets that a configuration starts from, and what a run changes in one."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from SAMI2ILib.errors import InputError
from SAMI2ILib.training.baseline_recipes import NO_AUGMENTATION, baseline_preset, merge_tables
from SAMI2ILib.training.config import BUDGET_KEYS, MACHINE_KEYS, TrainingConfig
from SAMI2ILib.weights.spec import FAMILIES

_PAPER: Final[Mapping[str, Any]] = {
    "targets": ["T2"],
    # all the subjects that are not for tests: nothing is chosen by a validation
    "train_parts": ["train", "validation"],
    "encoder": {
        "variant": "base_plus",
        "checkpoint": "sam2.1_hiera_base_plus",
        "frozen": True,
    },
    "decoder": {"depth": 2, "windows": [16, 8, 4]},
    "optimization": {
        "epochs": 20.0,
        "batch": 2,
        "crop": 256,
        "learning_rate": 2e-5,
        "schedule": "constant",
        "warm_up": 0.0,
        "betas": [0.9, 0.999],
        "weight_decay": 0.0,
        "clip": 0.0,
        "region": "image",
        "l1": 50.0,
        "adversarial": 1.0,
    },
    "discriminator": {
        "clip": "ViT-B-32/openai",
        "taps": [3, 7],
        "loss": "nonsaturating",
        "learning_rate": 2e-5,
        "betas": [0.5, 0.999],
        "augment": ["color", "translation", "cutout"],
    },
    "augmentation": NO_AUGMENTATION,
}

_FIDELITY: Final[Mapping[str, Any]] = {
    **_PAPER,
    "context_slices": 3,
    "train_parts": ["train"],
    "optimization": {
        **_PAPER["optimization"],
        "learning_rate": 2e-4,
        "schedule": "cosine",
        "warm_up": 0.02,
        "clip": 1.0,
        "ema": 0.999,
        "ssim": 10.0,  # a fifth of the weight of L1
        "adversarial": 0.1,
        "export": "best",
    },
    "augmentation": {**NO_AUGMENTATION, "flip": 0.5, "rotation_deg": 5.0, "scale": 0.05},
}

RECIPES: Final[dict[str, Mapping[str, Any]]] = {
    "demo": {},
    "paper": _PAPER,
    "fidelity": _FIDELITY,
}
"""By name: `demo`, the defaults of every key, which the bundled models start from; `paper`, SAM-I2I
as published, and where the paper is silent our reading of it; `fidelity`, the same network trained
for small errors."""

# What names a run, its data and its weights; two runs of one recipe differ here.
_FREE_KEYS = (
    "encoder.separate",
    "name", "data", "recipe", "title", "source", "targets", "validation", "seed", "license",
    "family", "encoder.checkpoint", "discriminator.checkpoint", "baseline.checkpoint",
    *MACHINE_KEYS,
)  # fmt: skip
_UNUSED_BY_BASELINES = ("encoder.", "decoder.", "discriminator.clip", "discriminator.taps")
# How a batch is divided does not change what is learned from it.
_FREE_OPTIMIZATION_KEYS = ("optimization.accumulate", "optimization.validate_every")


def with_preset(table: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a configuration over the preset that its key `recipe` names.

    Args:
        table: A parsed TOML table. A budget of its own replaces the preset's.

    Raises:
        InputError: There is no such family, or it has no such recipe.
    """
    return merge_tables(_preset(table.get("family", "sam-i2i"), table.get("recipe", "demo")), table)


def _preset(family: object, recipe: object) -> Mapping[str, Any]:
    if not isinstance(family, str) or family not in FAMILIES:
        raise InputError(f"There is no family {family!r}.", f"Choose one of {', '.join(FAMILIES)}.")
    if family == "sam-i2i":
        if not isinstance(recipe, str) or recipe not in RECIPES:
            raise InputError(
                f"There is no recipe {recipe!r}.", f"Choose one of {', '.join(RECIPES)}."
            )
        return RECIPES[recipe]
    preset = baseline_preset(family, recipe) if isinstance(recipe, str) else None
    if preset is None:
        raise InputError(
            f"The family {family} has no recipe {recipe!r}.", "Choose demo, paper or native."
        )
    return preset


def departures(config: TrainingConfig) -> list[str]:
    """Name the keys in which a run departs from its recipe, for the plan and the model card.

    Returns:
        Entries like "optimization.batch = 4"; empty where the run is the recipe itself.
    """
    from SAMI2ILib.training.config_file import parse_config

    minimal: dict[str, Any] = {
        "name": config.name,
        "data": [{"name": "any"}],
        "recipe": config.recipe,
        "family": config.family,
    }
    if config.recipe == "demo":
        minimal["optimization"] = {"steps": 1}  # `demo` leaves the budget to the user
    preset, found = _flat(asdict(parse_config(minimal))), _flat(asdict(config))
    ignored = {*_FREE_KEYS, *_FREE_OPTIMIZATION_KEYS}
    if "optimization" in minimal:
        ignored |= {f"optimization.{budget}" for budget in BUDGET_KEYS}
    unused = _UNUSED_BY_BASELINES if config.is_baseline else ()
    return [
        f"{key} = {_text(value)}"
        for key, value in found.items()
        if key not in ignored and not key.startswith(unused) and value != preset.get(key)
    ]


def recipe_label(config: TrainingConfig) -> str:
    """Name a run's recipe honestly: `paper`, or `paper with optimization.batch = 4`."""
    changed = departures(config)
    recipe = f"{config.family} {config.recipe}" if config.is_baseline else config.recipe
    return recipe + (f" with {', '.join(changed)}" if changed else "")


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _text(value: object) -> str:
    return f"{list(value)}" if isinstance(value, tuple) else f"{value}"
