"""Turns a trained network into model files: one shared encoder, one model a target."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from SAMI2ILib.models import HIERA_VARIANTS
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.loop import TrainingResult, TrainingSubjects
from SAMI2ILib.weights import (
    EncoderReference,
    EncoderSpec,
    ModelSpec,
    Preprocessing,
    Training,
    TrainingData,
    file_sha256,
    write_encoder,
    write_model,
)

_NO_LICENSE = "unknown"


@dataclass(frozen=True)
class ExportedModels:
    """The files of one run: the models and the encoder file that they share."""

    models: tuple[Path, ...]
    encoder: Path


def export_models(
    config: TrainingConfig, result: TrainingResult, subjects: TrainingSubjects, folder: Path
) -> ExportedModels:
    """Write the encoder file and a model file for each target, as float16.

    Args:
        config: The recipe; its name becomes part of the files' names.
        result: What the training ended with.
        subjects: What it read.
        folder: Where to; files of an earlier export are replaced.

    Returns:
        What was written. The models have no metrics yet: `sami2i evaluate --record` adds them.

    Raises:
        OutputError: A file cannot be written.
        InputError: A weight is no finite number in float16.
    """
    training = _describe(config, result, subjects)
    hiera = HIERA_VARIANTS[config.encoder.variant].to_json()
    name = f"{config.name}-encoder"
    encoder = folder / f"{name}.safetensors"
    spec = EncoderSpec(
        id=name,
        title=f"Hiera encoder of {config.name}",
        hiera=hiera,
        license=config.license or _NO_LICENSE,
        training=training,
    )
    write_encoder(encoder, spec, _weights(result.network.encoder.trunk))
    reference = EncoderReference(kind="store", name=name, sha256=file_sha256(encoder), hiera=hiera)
    models = []
    for target in config.targets:
        decoder = result.network.translator(target).decoder
        model = ModelSpec(
            family="sam-i2i",
            id=f"{config.name}-{config.source}-{target}".lower(),
            title=f"{config.source} to {target}, {config.title or config.name}",
            source_contrast=config.source,
            target_contrast=target,
            license=config.license or _NO_LICENSE,
            encoder=reference,
            decoder=decoder.config.to_json(),
            preprocessing=Preprocessing(context_slices=config.context_slices),
            training=training,
        )
        path = folder / f"{model.id}.safetensors"
        write_model(path, model, _weights(decoder, "decoder."))
        models.append(path)
    return ExportedModels(tuple(models), encoder)


def _weights(module: nn.Module, prefix: str = "") -> dict[str, NDArray[Any]]:
    return {
        prefix + name: tensor.detach().cpu().numpy().astype(np.float16)
        for name, tensor in module.state_dict().items()
    }


def _describe(
    config: TrainingConfig, result: TrainingResult, subjects: TrainingSubjects
) -> Training:
    recipe = asdict(config)
    for source in recipe["data"]:
        del source["folder"]  # a path of this machine says nothing elsewhere
    recipe["steps_done"] = result.state.step
    recipe["seconds_in_training"] = round(result.state.seconds)
    data = [
        TrainingData(
            name=source.name,
            license=source.license,
            subjects=len(stacks),
            note=_note(source.weight, [stack.subject for stack in stacks]),
        )
        for source, stacks in zip(config.data, subjects.training, strict=True)
    ]
    return Training(data=tuple(data), recipe=recipe)


def _note(weight: float, names: Sequence[str]) -> str:
    listed = ", ".join(names) if len(names) <= 20 else f"{names[0]} to {names[-1]}"
    return f"Weight {weight:g}. {listed}"
