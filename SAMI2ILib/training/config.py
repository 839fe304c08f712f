"""The training configuration: one dataclass, read from one TOML file and checked key by key."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from SAMI2ILib.data.subjects import CONTRASTS
from SAMI2ILib.errors import InputError

T = TypeVar("T")

# fields of `Augmentation` that are probabilities or relative amounts
_FRACTIONS = (
    "flip", "scale", "remap", "gamma", "dark_floor", "bias", "noise", "blur", "context"
)  # fmt: skip
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True)
class DataSource:
    """One cohort folder of subjects.

    Attributes:
        name: What flags and logs call it.
        folder: Where the subjects lie; empty until `--data name=FOLDER` fills it.
        weight: Share of the crops that come from it, relative to the other sources.
        only: Subjects to take; empty takes all.
        exclude: Subjects to leave out.
        license: Of the data, for the model card.
    """

    name: str
    folder: str = ""
    weight: float = 1.0
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    license: str = ""


@dataclass(frozen=True)
class EncoderConfig:
    """Which Hiera trunk, and whether it learns.

    Attributes:
        variant: A name of `models.HIERA_VARIANTS`.
        checkpoint: Official SAM2 checkpoint to start from; empty starts from random values.
        frozen: The paper's choice with a pre-trained trunk; false trains it with the decoders.
    """

    variant: str = "demo"
    checkpoint: str = ""
    frozen: bool = False


@dataclass(frozen=True)
class DecoderOptions:
    """The mask-unit-attention decoder; its widths follow from the trunk's.

    Attributes:
        depth: As in `DecoderConfig`, as are the others.
        windows: Side of the attention windows, coarsest first.
        shifted_windows: Move the windows of every second layer.
        encoder_upscale: How much the encoder enlarges slices.
        detail_width: Channels of the detail branch; 0 has none.
        detail_depth: Convolution layers at each of its levels.
    """

    depth: int = 1
    windows: tuple[int, ...] = (16, 8, 4)
    shifted_windows: bool = False
    encoder_upscale: int = 4
    detail_width: int = 0
    detail_depth: int = 1


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a crop; a probability or range of zero switches one off.

    Attributes:
        flip: Probability of mirroring left and right.
        rotation_deg: Rotations are drawn from +- this.
        scale: Log-uniform zoom of each axis between 1 / (1 + scale) and 1 + scale.
        remap: Probability of a random rising tone curve on the source.
        gamma: Log of the exponent is drawn from +- this; the source only.
        dark_floor: In every second crop the source's darkest part is cut, by up to this part of
            the median intensity: CSF as dark as air.
        bias: Log of the bias field's peak is drawn from +- this; the source only.
        noise: Standard deviation of the noise is drawn from 0 to this part of the median
            intensity; the source only.
        blur: Probability of losing resolution along one axis or both; the source only.
        context: Probability that the neighbors of a slice are taken from twice as far, or are the
            slice itself; only with `context_slices` of 3.
    """

    flip: float = 0.5
    rotation_deg: float = 15.0
    scale: float = 0.2
    remap: float = 0.5
    gamma: float = 0.4
    dark_floor: float = 0.5
    bias: float = 0.4
    noise: float = 0.1
    blur: float = 0.25
    context: float = 0.4


@dataclass(frozen=True)
class Optimization:
    """The schedule; exactly one of `steps` and `minutes` is above zero.

    Attributes:
        steps: Optimizer steps in all.
        minutes: Training time in all, over every resumption.
        batch: Crops a step.
        crop: Height and width of a crop in pixels of the working grid.
        learning_rate: Peak rate of AdamW; decays to zero along a half cosine.
        warm_up: Part of the budget in which the rate rises from zero.
        weight_decay: Of AdamW.
        ema: Decay of the averaged weights that are exported; 0 exports the last ones.
        clip: Largest gradient norm.
        ssim: Weight of 1 - SSIM beside the L1 loss.
    """

    steps: int = 0
    minutes: float = 0.0
    batch: int = 8
    crop: int = 128
    learning_rate: float = 1e-3
    warm_up: float = 0.02
    weight_decay: float = 0.01
    ema: float = 0.0
    clip: float = 1.0
    ssim: float = 0.0


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that a training run depends on, apart from the machine.

    Attributes:
        name: Of the recipe; becomes part of the models' ids: lower case, digits, ". _ -".
        title: What models call themselves in a list; the name where it is empty.
        data: Where the subjects come from.
        source: The contrast that goes in.
        targets: The contrasts that come out; each has a decoder, all share the encoder.
        context_slices: Slices that enter together: 1, or 3 with the two neighbors.
        validation: Subjects that are measured at each checkpoint and never trained on.
        seed: Of every random choice.
        threads: Of the CPU; 0 leaves the choice to torch.
        workers: Processes that cut crops beside the training; 0 cuts them in between.
        bf16: Train in bfloat16 where the processor has it.
        checkpoint_minutes: Between two checkpoints.
        license: Of the trained weights.
    """

    name: str
    data: tuple[DataSource, ...]
    title: str = ""
    source: str = "T1"
    targets: tuple[str, ...] = ("T2", "PD")
    context_slices: int = 1
    validation: tuple[str, ...] = ()
    seed: int = 0
    threads: int = 0
    workers: int = 1
    bf16: bool = True
    checkpoint_minutes: float = 5.0
    license: str = ""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderOptions = field(default_factory=DecoderOptions)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimization: Optimization = field(default_factory=Optimization)


def read_config(path: Path) -> TrainingConfig:
    """Read and check a TOML file.

    Raises:
        InputError: The file is missing or no TOML, or a key is unknown, missing or out of range;
            the message names the key.
    """
    try:
        with Path(path).open("rb") as file:
            table = tomllib.load(file)
    except FileNotFoundError as error:
        raise InputError(
            f"There is no training configuration {path}.", "Check the path."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}.", "Correct that line.") from error
    return parse_config(table)


def parse_config(table: Mapping[str, Any]) -> TrainingConfig:
    """Build a checked configuration from a parsed TOML table.

    Raises:
        InputError: A key is unknown, missing, of the wrong type or out of range.
    """
    config = _build(TrainingConfig, table, "")
    check_config(config)
    return config


def with_folders(config: TrainingConfig, folders: Mapping[str, str]) -> TrainingConfig:
    """Fill in where the data lie on this machine.

    Args:
        config: The recipe.
        folders: Folder of each data source, by its name.

    Raises:
        InputError: A name is not one of the recipe's, or a source is left without a folder.
    """
    names = [source.name for source in config.data]
    for name in folders:
        if name not in names:
            raise InputError(
                f"--data {name}=...: the configuration has no data source '{name}'.",
                f"It has {', '.join(names)}.",
            )
    data = tuple(
        replace(source, folder=folders.get(source.name, source.folder)) for source in config.data
    )
    for source in data:
        if not source.folder:
            raise InputError(
                f"The data source '{source.name}' has no folder.",
                f"Pass --data {source.name}=FOLDER.",
            )
    return replace(config, data=data)


def _build(kind: type[T], table: Mapping[str, Any], prefix: str) -> T:
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise InputError(
                f"The configuration has an unknown key '{prefix}{key}'.",
                f"Known here: {', '.join(hints)}.",
            )
    values = {key: _value(hints[key], value, prefix + key) for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        required = [f.name for f in fields(kind) if f.name not in values]  # type: ignore[arg-type]
        raise InputError(
            f"The configuration lacks a required key: one of {', '.join(required)}"
            f"{' in ' + prefix.rstrip('.') if prefix else ''}.",
            "See docs/reference/recipes for complete examples.",
        ) from error


def _value(hint: Any, value: object, key: str) -> Any:
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise _wrong_type(key, "a list", value)
        item = get_args(hint)[0]
        return tuple(_value(item, entry, f"{key}[{n}]") for n, entry in enumerate(value))
    if hasattr(hint, "__dataclass_fields__"):
        if not isinstance(value, Mapping):
            raise _wrong_type(key, "a table", value)
        return _build(hint, value, key + ".")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, UnionType) or type(value) is not hint:
        raise _wrong_type(key, f"a value of type {getattr(hint, '__name__', hint)}", value)
    return value


def _wrong_type(key: str, expected: str, value: object) -> InputError:
    return InputError(
        f"'{key}' in the configuration must be {expected}, not {value!r}.", "Correct that key."
    )


def check_config(config: TrainingConfig) -> None:
    """Check the ranges of all values, after they were changed by flags too.

    Raises:
        InputError: A value is out of range; the message names its key.
    """
    optimization, augmentation = config.optimization, config.augmentation
    names = [source.name for source in config.data]
    budget = (optimization.steps > 0) != (optimization.minutes > 0)
    rules: list[tuple[str, bool, str]] = [
        ("name", _NAME.fullmatch(config.name) is not None, "lower case letters, digits, '. _ -'"),
        ("data", bool(names) and len(set(names)) == len(names), "sources with different names"),
        ("data.weight", all(s.weight > 0 for s in config.data), "above zero"),
        ("source", config.source in CONTRASTS, f"one of {', '.join(CONTRASTS)}"),
        ("targets", _are_targets(config), "different contrasts other than the source"),
        ("seed", config.seed >= 0, "zero or above"),
        ("threads", config.threads >= 0, "zero or above"),
        ("workers", config.workers >= 0, "zero or above"),
        ("checkpoint_minutes", config.checkpoint_minutes > 0, "above zero"),
        ("decoder.depth", config.decoder.depth >= 1, "at least 1"),
        ("decoder.windows", len(config.decoder.windows) == 3, "three sizes, coarsest first"),
        ("optimization.steps", budget, "above zero, or else optimization.minutes, and not both"),
        ("optimization.batch", optimization.batch >= 1, "at least 1"),
        ("optimization.crop", _is_crop(optimization.crop), "a positive multiple of 64"),
        ("optimization.learning_rate", optimization.learning_rate > 0, "above zero"),
        ("optimization.warm_up", 0 <= optimization.warm_up < 1, "in [0, 1)"),
        ("optimization.weight_decay", optimization.weight_decay >= 0, "zero or above"),
        ("optimization.ema", 0 <= optimization.ema < 1, "in [0, 1)"),
        ("optimization.clip", optimization.clip > 0, "above zero"),
        ("optimization.ssim", optimization.ssim >= 0, "zero or above"),
        ("context_slices", config.context_slices in (1, 3), "1 or 3"),
        *(
            (f"augmentation.{key}", 0 <= getattr(augmentation, key) <= 1, "in [0, 1]")
            for key in _FRACTIONS
        ),
        ("augmentation.rotation_deg", 0 <= augmentation.rotation_deg <= 180, "in [0, 180]"),
    ]
    for key, holds, expected in rules:
        if not holds:
            message = f"'{key}' in the configuration must be {expected}."
            raise InputError(message, "Correct that key.")


def _are_targets(config: TrainingConfig) -> bool:
    targets = config.targets
    known = all(target in CONTRASTS and target != config.source for target in targets)
    return bool(targets) and known and len(set(targets)) == len(targets)


def _is_crop(crop: int) -> bool:
    return crop > 0 and crop % 64 == 0
