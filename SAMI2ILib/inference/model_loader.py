"""Joins a model file with the network that it describes."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from SAMI2ILib.baselines import GENERATOR_CONFIGS, generator_from_json
from SAMI2ILib.errors import InputError, ModelError, first_line, is_memory_failure
from SAMI2ILib.models import (
    Decoder,
    DecoderConfig,
    Encoder,
    HieraConfig,
    SamI2I,
    load_strictly,
    load_trunk,
    load_trunk_tensors,
)
from SAMI2ILib.models.clip import build_clip
from SAMI2ILib.models.clip_encoder import ClipEncoderConfig, build_clip_encoder
from SAMI2ILib.weights import ModelSpec, read_model, read_tensors
from SAMI2ILib.weights.store import Store
from SAMI2ILib.weights.store_index import check_recorded

DECODER_PREFIX = "decoder."
ENCODER_PREFIX = "encoder."
PROJECTION_PREFIX = "projection."
GENERATOR_PREFIX = "generator."

# The large SAM2 trunk has 212 million weights in some 600 tensors.
MAX_WEIGHTS = 500_000_000
MAX_TENSORS = 20_000


@dataclass(frozen=True)
class LoadedModel:
    """A network with the description of the file that it came from.

    Attributes:
        spec: What the file says of itself.
        sha256: Of the model file.
        encoder_sha256: Of the encoder's own file; empty where the encoder is in the model file.
        network: Maps slices (B, C, H, W) in [0, 1] to (B, 1, H, W) float32 in [0, 1]; in
            evaluation mode, on the CPU, float32.
    """

    spec: ModelSpec
    sha256: str
    encoder_sha256: str
    network: nn.Module


def load_model(reference: str | Path, store: Store | None = None) -> LoadedModel:
    """Load a model by its id or from a file.

    Args:
        reference: An id that `sami2i models list` shows, or the path of a model file.
        store: Where ids and shared encoders are looked up; the user's store when None.

    Returns:
        The model, ready for `translate`.

    Raises:
        MissingError: No such model, or its encoder is not there.
        ModelError: The file is damaged or not the one that was added, its weights do not fit its
            description, or it needs a newer version.
    """
    store = store or Store()
    path = store.find(reference).path
    content = read_model(path)
    check_recorded(path, content.sha256)
    spec = content.spec
    tensors = {name: torch.from_numpy(value) for name, value in content.tensors.items()}
    try:
        with _limited_size():
            network = _BUILDERS[spec.family](_Parts(spec, path, tensors, store))
    except (InputError, RuntimeError, OverflowError) as error:
        if is_memory_failure(error) and not _asks_for_too_much(error):
            raise
        reason = first_line(error)
        raise ModelError(
            f"The model {spec.id!r} describes a network that cannot be built: {reason}",
            "Get the file again from where it came.",
        ) from error
    network.requires_grad_(False)
    return LoadedModel(spec, content.sha256, spec.encoder.sha256, network.eval())


def _asks_for_too_much(error: Exception) -> bool:
    """Whether one tensor alone is larger than any network may be; torch says its size."""
    asked = re.search(r"allocate (\d+) bytes", str(error))
    return asked is not None and int(asked[1]) > 4 * MAX_WEIGHTS


@contextmanager
def _limited_size() -> Iterator[None]:
    """Stop a description that asks for more memory or time than any network of ours.

    A weight is counted when it is reserved; it takes memory only when it is set.
    """
    weights = tensors = 0

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal weights, tensors
        if parameter is None:
            return
        weights += parameter.numel()
        tensors += 1
        if weights > MAX_WEIGHTS or tensors > MAX_TENSORS:
            raise InputError(
                f"it has more than {MAX_WEIGHTS:,} weights or {MAX_TENSORS:,} tensors."
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


@dataclass(frozen=True)
class _Parts:
    """What a network is built from."""

    spec: ModelSpec
    path: Path
    tensors: Mapping[str, Tensor]
    store: Store


def _build_sam_i2i(parts: _Parts) -> nn.Module:
    decoder = Decoder(DecoderConfig.from_json(parts.spec.decoder))
    encoder = _build_encoder(parts, decoder.config.encoder_upscale)
    _load_weights(decoder, _with_prefix(parts.tensors, DECODER_PREFIX), "decoder")
    return SamI2I(encoder, decoder)


def _build_encoder(parts: _Parts, upscale: int) -> Encoder:
    spec = parts.spec.encoder
    if spec.hiera is not None:
        return Encoder(_load_trunk(parts, HieraConfig.from_json(spec.hiera)), upscale=upscale)
    if spec.clip is None or spec.kind != "embedded":
        raise ModelError(
            f"The model {parts.spec.id!r} does not say which Hiera encoder it needs.",
            "Get the file again from where it came.",
        )
    config = ClipEncoderConfig.from_json(spec.clip)
    encoder = build_clip_encoder(build_clip(config.clip), config, upscale=upscale)
    _load_weights(encoder.trunk, _with_prefix(parts.tensors, ENCODER_PREFIX), "encoder")
    projection = _with_prefix(parts.tensors, PROJECTION_PREFIX)
    load_strictly(encoder.get_submodule("projection"), projection, "projection")
    return encoder


def _load_trunk(parts: _Parts, config: HieraConfig) -> nn.Module:
    spec = parts.spec
    if spec.encoder.kind == "embedded":
        return load_trunk_tensors(_with_prefix(parts.tensors, ENCODER_PREFIX), config)
    path = parts.store.encoder_path(spec.encoder, beside=parts.path.parent)
    if spec.encoder.kind == "public":
        return load_trunk(path, config)
    tensors = read_tensors(path, spec.encoder.sha256)
    shared = {name: torch.from_numpy(value) for name, value in tensors.items()}
    return load_trunk_tensors(shared, config)


def _build_baseline(parts: _Parts) -> nn.Module:
    network = generator_from_json(parts.spec.family, parts.spec.decoder)
    size, multiple = parts.spec.preprocessing.size, network.size_multiple
    if size % multiple:
        raise ModelError(
            f"The model {parts.spec.id!r} works on tiles of {size} pixels, but its network needs a "
            f"multiple of {multiple}.",
            "Get the file again from where it came.",
        )
    _load_weights(network, _with_prefix(parts.tensors, GENERATOR_PREFIX), "generator")
    return network


def _load_weights(module: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Load strictly all but the counters of batch norms, which files leave out."""
    counters = {n: t for n, t in module.state_dict().items() if not t.is_floating_point()}
    load_strictly(module, counters | dict(weights), what)


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


_BUILDERS: dict[str, Callable[[_Parts], nn.Module]] = {
    "sam-i2i": _build_sam_i2i,
    **dict.fromkeys(GENERATOR_CONFIGS, _build_baseline),
}
