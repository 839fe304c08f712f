"""What values a training configuration may have; one rule a line, named by its key."""

import re
from collections.abc import Iterator

from SAMI2ILib.baselines import GENERATOR_CONFIGS, GeneratorConfig
from SAMI2ILib.data.dataset import SPLITS
from SAMI2ILib.errors import InputError
from SAMI2ILib.models.diff_augment import POLICIES
from SAMI2ILib.training.adversarial import ADVERSARIAL_LOSSES
from SAMI2ILib.training.config import BUDGET_KEYS, EncoderConfig, TrainingConfig

Rule = tuple[str, bool, str]  # key, whether it holds, what was expected

CROP_MULTIPLE = 64
"""The network halves a slice until its largest window still fits."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_CONTRAST = re.compile(r"[A-Za-z0-9]{1,32}")
# fields of `Augmentation` that are probabilities or relative amounts
_FRACTIONS = (
    "flip", "scale", "remap", "gamma", "dark_floor", "bias", "noise", "blur", "context", "strip"
)  # fmt: skip


def check_config(config: TrainingConfig) -> None:
    """Check the ranges of all values.

    Raises:
        InputError: A value is out of range; the message names its key.
    """
    for rules in (_general, _data, _networks, _baseline, _schedule, _losses, _augmentation):
        for key, holds, expected in rules(config):
            if not holds:
                message = f"'{key}' in the configuration must be {expected}."
                raise InputError(message, "Correct that key.")


def _general(config: TrainingConfig) -> Iterator[Rule]:
    yield "name", _NAME.fullmatch(config.name) is not None, "lower case letters, digits, '. _ -'"
    yield "seed", config.seed >= 0, "zero or above"
    yield "threads", config.threads >= 0, "zero or above"
    yield "workers", config.workers >= 0, "zero or above"
    yield "log_every", config.log_every >= 1, "at least 1"
    yield "sample_images", config.sample_images >= 0, "zero or above"
    yield "checkpoint_minutes", config.checkpoint_minutes > 0, "above zero"


def _data(config: TrainingConfig) -> Iterator[Rule]:
    names = [source.name for source in config.data]
    parts = config.train_parts
    weights = {source.weight for source in config.data}
    yield "data", bool(names) and len(set(names)) == len(names), "sources with different names"
    yield "data.weight", all(weight > 0 for weight in weights), "above zero"
    yield (
        "data.weight",
        config.optimization.epochs == 0 or len(weights) == 1,
        "the same for all sources where the budget is in epochs: each slice comes once in each",
    )
    yield "source", _CONTRAST.fullmatch(config.source) is not None, "a contrast, as T1 or FLAIR"
    yield "targets", _are_targets(config), "different contrasts other than the source"
    yield "context_slices", config.context_slices in (1, 3), "1 or 3"
    yield "tile", _is_crop(config.tile), f"a positive multiple of {CROP_MULTIPLE}"
    yield "train_parts", bool(parts) and set(parts) <= set(SPLITS), f"of {', '.join(SPLITS)}"


def _networks(config: TrainingConfig) -> Iterator[Rule]:
    encoder, judge = config.encoder, config.discriminator
    yield (
        "encoder.hiera",
        _takes_hiera(encoder),
        'given with encoder.variant = "custom", and else with a CLIP only',
    )
    yield "decoder.depth", config.decoder.depth >= 1, "at least 1"
    yield "decoder.windows", len(config.decoder.windows) == 3, "three sizes, coarsest first"
    yield "discriminator.loss", judge.loss in ADVERSARIAL_LOSSES, _one_of(ADVERSARIAL_LOSSES)
    yield "discriminator.learning_rate", judge.learning_rate > 0, "above zero"
    yield "discriminator.betas", _are_betas(judge.betas), "two numbers in [0, 1)"
    yield "discriminator.augment", set(judge.augment) <= set(POLICIES), f"of {', '.join(POLICIES)}"


def _baseline(config: TrainingConfig) -> Iterator[Rule]:
    options, plan = config.baseline, config.optimization
    yield "generator", config.is_baseline or not config.generator, "empty for sam-i2i"
    yield "baseline.judge_width", options.judge_width >= 1, "at least 1"
    yield "baseline.cycle", options.cycle >= 0, "zero or above"
    yield "baseline.identity", options.identity >= 0, "zero or above"
    yield "baseline.pool", options.pool >= 0, "zero or above"
    yield "baseline.first_stage", 0 <= options.first_stage < 1, "in [0, 1)"
    yield "baseline.second_rate", options.second_rate > 0, "above zero"
    if not config.is_baseline:
        return
    is_resvit = config.family == "resvit"
    yield "baseline.first_stage", is_resvit or not options.first_stage, "zero but for resvit"
    yield "baseline.pretrained", is_resvit or not options.pretrained, "false but for resvit"
    taken = "slice_channels" not in config.generator
    yield "generator.slice_channels", taken, "left out: context_slices says it"
    multiple = generator_config(config).size_multiple
    fits = plan.crop % multiple == 0
    yield "optimization.crop", fits, f"a multiple of {multiple} for this {config.family}"
    yield "discriminator.augment", not config.discriminator.augment, "empty but for sam-i2i"
    judged = config.family != "unet" or not plan.adversarial
    yield "optimization.adversarial", judged, "zero for unet, which has no discriminator"
    if config.family == "cyclegan":
        yield "context_slices", config.context_slices == 1, "1 for cyclegan"
        yield "optimization.region", plan.region == "image", '"image" for cyclegan'
        paired = bool(plan.l1 + plan.ssim) == options.paired_l1
        yield "optimization.l1", paired, "above zero with baseline.paired_l1, zero without"


def generator_config(config: TrainingConfig) -> GeneratorConfig:
    """The sizes of a compared system's generator.

    Raises:
        InputError: The configuration has a size that the system does not know or cannot have.
    """
    sizes = {**config.generator, "slice_channels": config.context_slices}
    return GENERATOR_CONFIGS[config.family].from_json(sizes)


def _schedule(config: TrainingConfig) -> Iterator[Rule]:
    plan = config.optimization
    budgets = [key for key in BUDGET_KEYS if getattr(plan, key)]
    others = ", ".join(key for key in BUDGET_KEYS if key != "steps")
    expected = f"above zero, or one of {others} in its place (--minutes 60 as a flag)"
    if len(budgets) > 1:
        expected = f"the only budget, or another one: there are {' and '.join(budgets)}"
    is_positive = all(getattr(plan, key) > 0 for key in budgets)
    yield "optimization.steps", len(budgets) == 1 and is_positive, expected
    inside = not plan.cpu_minutes or config.workers == 0
    yield "workers", inside, "0 with a budget in cpu_minutes: other processes are not counted"
    yield "optimization.batch", plan.batch >= 1, "at least 1"
    yield "optimization.accumulate", 1 <= plan.accumulate <= plan.batch, "from 1 to the batch"
    yield "optimization.crop", _is_crop(plan.crop), f"a positive multiple of {CROP_MULTIPLE}"
    yield "optimization.learning_rate", plan.learning_rate > 0, "above zero"
    schedules = ("cosine", "constant", "linear")
    yield "optimization.schedule", plan.schedule in schedules, _one_of(schedules)
    yield "optimization.warm_up", 0 <= plan.warm_up < 1, "in [0, 1)"
    yield "optimization.betas", _are_betas(plan.betas), "two numbers in [0, 1)"
    yield "optimization.weight_decay", plan.weight_decay >= 0, "zero or above"
    yield "optimization.ema", 0 <= plan.ema < 1, "in [0, 1)"
    yield "optimization.clip", plan.clip >= 0, "zero or above"
    yield "optimization.validate_every", plan.validate_every >= 0, "zero or above"
    yield "optimization.patience", plan.patience >= 0, "zero or above"
    yield "optimization.export", plan.export in ("last", "best"), _one_of(("last", "best"))


def _losses(config: TrainingConfig) -> Iterator[Rule]:
    plan = config.optimization
    regions = ("foreground", "image")
    yield "optimization.region", plan.region in regions, _one_of(regions)
    yield "optimization.l1", plan.l1 >= 0, "zero or above"
    yield "optimization.ssim", plan.ssim >= 0, "zero or above"
    yield "optimization.adversarial", plan.adversarial >= 0, "zero or above"
    some = config.is_unpaired or plan.l1 + plan.ssim > 0
    yield "optimization.l1", some, "above zero, or optimization.ssim"


def _augmentation(config: TrainingConfig) -> Iterator[Rule]:
    augmentation = config.augmentation
    for key in _FRACTIONS:
        yield f"augmentation.{key}", 0 <= getattr(augmentation, key) <= 1, "in [0, 1]"
    yield "augmentation.rotation_deg", 0 <= augmentation.rotation_deg <= 180, "in [0, 180]"


def _are_targets(config: TrainingConfig) -> bool:
    targets = config.targets
    named = all(_CONTRAST.fullmatch(target) and target != config.source for target in targets)
    return bool(targets) and named and len(set(targets)) == len(targets)


def _takes_hiera(encoder: EncoderConfig) -> bool:
    given = encoder.hiera is not None
    return given == (encoder.variant == "custom") or (given and encoder.variant.startswith("clip:"))


def _is_crop(crop: int) -> bool:
    return crop > 0 and crop % CROP_MULTIPLE == 0


def _are_betas(betas: tuple[float, ...]) -> bool:
    return len(betas) == 2 and all(0 <= beta < 1 for beta in betas)


def _one_of(names: tuple[str, ...]) -> str:
    return f"one of {', '.join(names)}"
