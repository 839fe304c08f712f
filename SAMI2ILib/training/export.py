"""Turns a trained network into model files that `translate` takes at once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from SAMI2ILib.data.dataset import SliceDataset
from SAMI2ILib.training.baseline_networks import BaselineTranslator
from SAMI2ILib.training.config import DataSource, TrainingConfig
from SAMI2ILib.training.loop import TrainingResult
from SAMI2ILib.training.networks import JointTranslator, clip_encoder_of, hiera_of
from SAMI2ILib.training.recipes import recipe_label
from SAMI2ILib.training.schedule import TrainingState
from SAMI2ILib.training.selection import Selection
from SAMI2ILib.training.starting_weights import StartingWeights
from SAMI2ILib.training.validation import METRICS
from SAMI2ILib.weights import (
    EncoderReference,
    EncoderSpec,
    Metric,
    ModelSpec,
    Preprocessing,
    Training,
    TrainingData,
    file_sha256,
    read_encoder_spec,
    write_encoder,
    write_model,
)
from SAMI2ILib.weights.store_files import copy_checked

_NO_LICENSE = "unknown"
_LISTED_NAMES = 20
_DATA_LETTERS = 200
# What `METRICS` are called in a model file: name, unit, region.
_NAMES = {
    "psnr": ("PSNR", "dB", ""), "ssim": ("SSIM", "", ""), "nrmse": ("NRMSE", "", ""),
    "brain_psnr": ("PSNR", "dB", "brain"), "brain_ssim": ("SSIM", "", "brain"),
    "brain_nrmse": ("NRMSE", "", "brain"),
}  # fmt: skip


@dataclass(frozen=True)
class ExportedModels:
    """The files of one run: the models, and the encoder file if they share one."""

    models: tuple[Path, ...]
    encoder: Path | None = None


def export_models(
    config: TrainingConfig,
    result: TrainingResult,
    selection: Selection,
    weights: StartingWeights,
    folder: Path,
) -> ExportedModels:
    """Write a model file for each target, as float16.

    A frozen encoder from a public checkpoint is referred to. Any other is inside the model file,
    unless several models share it: then it is a file of its own beside them. A frozen encoder from
    such a file of an earlier run is copied beside its new models.

    Args:
        config: The recipe; its name becomes part of the files' names.
        result: What the training ended with.
        selection: What it read.
        weights: What it started from.
        folder: Where to; files of an earlier export are replaced.

    Returns:
        What was written. The metrics inside are those of the validation subjects, if there were
        any; `sami2i evaluate --record` adds others.

    Raises:
        OutputError: A file cannot be written.
        InputError: A weight is no finite number in float16.
    """
    training = _describe(config, result, selection)
    if isinstance(result.network, BaselineTranslator):
        return _export_baseline(config, result, result.network, selection, training, folder)
    network = result.network
    encoder = network.encoder
    reference, shared = _encoder_reference(config, network, training, weights, folder)
    inside: dict[str, NDArray[Any]] = {}
    if reference.kind == "embedded":
        inside = _weights(encoder.trunk, "encoder.")
    if encoder.projection is not None:
        inside |= _weights(encoder.projection, "projection.")
    models = []
    for target in config.targets:
        decoder = network.translator(target).decoder
        model = replace(
            _model_spec(config, result, selection, training, target),
            encoder=reference,
            decoder=decoder.config.to_json(),
        )
        path = folder / f"{model.id}.safetensors"
        write_model(path, model, inside | _weights(decoder, "decoder."))
        models.append(path)
    return ExportedModels(tuple(models), shared)


def _export_baseline(
    config: TrainingConfig,
    result: TrainingResult,
    network: BaselineTranslator,
    selection: Selection,
    training: Training,
    folder: Path,
) -> ExportedModels:
    """Write a model file for each target; of CycleGAN's two generators only the one to it."""
    models = []
    for target in config.targets:
        generator = network.translator(target)
        model = _model_spec(config, result, selection, training, target)
        size = max(model.preprocessing.size, generator.size_multiple)
        model = replace(
            model,
            decoder=generator.config.to_json(),
            preprocessing=replace(model.preprocessing, size=size),
        )
        path = folder / f"{model.id}.safetensors"
        write_model(path, model, _weights(generator, "generator."))
        models.append(path)
    return ExportedModels(tuple(models))


def _model_spec(
    config: TrainingConfig,
    result: TrainingResult,
    selection: Selection,
    training: Training,
    target: str,
) -> ModelSpec:
    """All that a model file says, but for its networks."""
    return ModelSpec(
        family=config.family,
        id=f"{config.name}-{config.source}-{target}".lower(),
        title=f"{config.source} to {target}, {config.title or config.name}",
        source_contrast=config.source,
        target_contrast=target,
        license=config.license or _NO_LICENSE,
        preprocessing=_preprocessing(config, selection),
        training=training,
        metrics=_metrics(config, result, selection, target),
    )


def _encoder_reference(
    config: TrainingConfig,
    network: JointTranslator,
    training: Training,
    weights: StartingWeights,
    folder: Path,
) -> tuple[EncoderReference, Path | None]:
    """How the models refer to their encoder, and the file that was written for it."""
    if clip := clip_encoder_of(config):
        return EncoderReference(kind="embedded", clip=clip.to_json()), None
    hiera = hiera_of(config).to_json()
    if config.encoder.frozen and weights.public_name:
        sha256 = weights.sha256["encoder"]
        return EncoderReference(
            kind="public", name=weights.public_name, sha256=sha256, hiera=hiera
        ), None
    if config.encoder.frozen and weights.is_own_encoder and weights.encoder is not None:
        return _copy_encoder(weights.encoder, weights.sha256["encoder"], hiera, folder)
    if len(config.targets) == 1 and not config.encoder.separate:
        return EncoderReference(kind="embedded", hiera=hiera), None
    name = f"{config.name}-encoder"
    path = folder / f"{name}.safetensors"
    spec = EncoderSpec(
        id=name,
        title=f"Hiera encoder of {config.name}",
        hiera=hiera,
        license=config.license or _NO_LICENSE,
        training=training,
    )
    write_encoder(path, spec, _weights(network.encoder.trunk))
    reference = EncoderReference(kind="store", name=name, sha256=file_sha256(path), hiera=hiera)
    return reference, path


def _copy_encoder(
    source: Path, sha256: str, hiera: dict[str, Any], folder: Path
) -> tuple[EncoderReference, Path]:
    name = read_encoder_spec(source).id
    path = folder / f"{name}.safetensors"
    if path.resolve() != source.resolve():
        copy_checked(source, path, sha256)
    return EncoderReference(kind="store", name=name, sha256=sha256, hiera=hiera), path


def _weights(module: nn.Module, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Take a module's weights as float16; batch norms' counters, which may not fit it, stay out."""
    return {
        prefix + name: tensor.detach().cpu().numpy().astype(np.float16)
        for name, tensor in module.state_dict().items()
        if tensor.is_floating_point()
    }


def _preprocessing(config: TrainingConfig, selection: Selection) -> Preprocessing:
    """What the network expects: the spacing that its data were prepared for, if they agree."""
    spacings = {dataset.manifest["preparation"].get("spacing_mm") for dataset in selection.datasets}
    spacing = spacings.pop() if len(spacings) == 1 else None
    described = Preprocessing(context_slices=config.context_slices, size=config.tile)
    if not isinstance(spacing, int | float):
        return described
    return replace(described, spacing_mm=float(spacing))


def _describe(config: TrainingConfig, result: TrainingResult, selection: Selection) -> Training:
    recipe = asdict(config)
    for source in recipe["data"]:
        del source["folder"]  # a path of this machine says nothing elsewhere
    for part in ("encoder", "discriminator", "baseline"):
        recipe[part]["checkpoint"] = Path(recipe[part]["checkpoint"]).name
    recipe["label"] = recipe_label(config)
    recipe["steps_done"] = result.state.step
    recipe["seconds_in_training"] = round(result.state.seconds)
    recipe["cpu_seconds_in_training"] = round(result.state.cpu_seconds)
    if config.optimization.export == "best" and result.state.best_step:
        recipe["step_of_the_weights"] = result.state.best_step
    data = [
        _describe_data(source, dataset, [pair.subject.name for pair in pairs])
        for source, dataset, pairs in zip(
            config.data, selection.datasets, selection.training, strict=True
        )
    ]
    return Training(data=tuple(data), recipe=recipe)


def _describe_data(source: DataSource, dataset: SliceDataset, names: Sequence[str]) -> TrainingData:
    listed = ", ".join(names)
    if len(names) > _LISTED_NAMES:
        listed = f"{names[0]} to {names[-1]}"
    return TrainingData(
        name=str(dataset.manifest["name"]) or source.name,
        license=source.license or str(dataset.manifest["license"]),
        subjects=len(names),
        note=f"Weight {source.weight:g}. Dataset {dataset.id[:12]}. {listed}",
    )


def _metrics(
    config: TrainingConfig, result: TrainingResult, selection: Selection, target: str
) -> tuple[Metric, ...]:
    state = result.state
    best = config.optimization.export == "best" and state.best_step
    measures = (state.best if best else state.validation).get(target)
    if not measures:
        return ()
    names = [pair.subject.name for pair in selection.validation]
    data = f"validation subjects {', '.join(names[:_LISTED_NAMES])}"
    if len(names) > _LISTED_NAMES:
        data = f"{len(names)} validation subjects"
    # Of a run that has not ended, the weights may be of a later step than what was measured.
    step = "" if best else _step_of_measures(state)
    return tuple(
        Metric(
            name=_NAMES[metric][0],
            unit=_NAMES[metric][1],
            region=_NAMES[metric][2],
            value=round(measures[metric], 5),
            standard_deviation=(
                round(measures[f"{metric}_sd"], 5) if measures["subjects"] > 1 else None
            ),
            subjects=round(measures["subjects"]),
            data=data[: _DATA_LETTERS - len(step)] + step,
        )
        for metric in METRICS
    )


def _step_of_measures(state: TrainingState) -> str:
    if state.validated_step == state.step:
        return ""
    return f", at step {state.validated_step} of these {state.step}"
