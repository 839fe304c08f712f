"""The pre-trained weights that a run starts from, found before it starts."""

from dataclasses import dataclass, field
from pathlib import Path

from SAMI2ILib.errors import InputError, MissingError
from SAMI2ILib.models.clip import ClipConfig
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.weights import Store, file_sha256, is_encoder_file
from SAMI2ILib.weights.clip_checkpoints import clip_checkpoint
from SAMI2ILib.weights.public_checkpoints import PUBLIC_CHECKPOINTS
from SAMI2ILib.weights.timm_checkpoints import transformer_checkpoint

CLIP_VARIANT = "clip:"

_NO_JUDGE = "Or train without a discriminator: --no-adversarial."


@dataclass(frozen=True)
class StartingWeights:
    """Files of pre-trained weights.

    Attributes:
        encoder: Of the encoder, or of ResViT's transformer; None where it starts from random
            values.
        public_name: Of the encoder's checkpoint in the model store; empty for a file.
        is_own_encoder: Whether `encoder` is the encoder file of an earlier run.
        discriminator: Of the discriminator's CLIP; None where there is none.
        sha256: Of these files, by "encoder" and "discriminator".
    """

    encoder: Path | None = None
    public_name: str = ""
    is_own_encoder: bool = False
    discriminator: Path | None = None
    sha256: dict[str, str] = field(default_factory=dict)


def find_weights(config: TrainingConfig, *, download: bool = False) -> StartingWeights:
    """Find the files that a configuration starts from.

    Args:
        config: Its encoder and discriminator.
        download: Let `open_clip` and `timm` fetch the weights that their caches lack.

    Raises:
        MissingError: A file is not there; the message says how to get it or do without.
        InputError: A CLIP is unknown.
        NetworkError: The download failed.
    """
    encoder, public_name = _encoder(config, download)
    discriminator = None
    if config.optimization.adversarial and not config.is_baseline:
        judge = config.discriminator
        discriminator = clip_checkpoint(
            clip_of(judge.clip), judge.checkpoint, download=download, way_out=_NO_JUDGE
        )
    files = {"encoder": encoder, "discriminator": discriminator}
    hashes = {name: file_sha256(path) for name, path in files.items() if path is not None}
    is_own = encoder is not None and _is_own_encoder(config, encoder)
    return StartingWeights(encoder, public_name, is_own, discriminator, hashes)


def clip_of(name: str) -> ClipConfig:
    """Read "MODEL/PRETRAINED"; the second part may be missing."""
    model, _, pretrained = name.partition("/")
    return ClipConfig(model, pretrained)


def _is_own_encoder(config: TrainingConfig, path: Path) -> bool:
    is_hiera = not config.is_baseline and not config.encoder.variant.startswith(CLIP_VARIANT)
    return is_hiera and path.suffix == ".safetensors" and is_encoder_file(path)


def _encoder(config: TrainingConfig, download: bool) -> tuple[Path | None, str]:
    if config.is_baseline:
        baseline = config.baseline
        if not baseline.pretrained:
            return None, ""
        return transformer_checkpoint(baseline.checkpoint, download=download), ""
    options = config.encoder
    if options.variant.startswith(CLIP_VARIANT):
        clip = clip_of(options.variant.removeprefix(CLIP_VARIANT))
        return clip_checkpoint(clip, options.checkpoint, download=download), ""
    if not options.checkpoint:
        if options.frozen:
            raise InputError(
                "'encoder.frozen' is true, but there is no 'encoder.checkpoint' to start from.",
                "Name a SAM2 checkpoint or an encoder file, or set frozen = false.",
            )
        return None, ""
    if options.checkpoint not in PUBLIC_CHECKPOINTS:
        path = Path(options.checkpoint)
        if not path.is_file():
            raise MissingError(
                f"There is no encoder checkpoint {path}.",
                f"Name a file, or one of {', '.join(PUBLIC_CHECKPOINTS)}.",
            )
        return path, ""
    for path in Store().checkpoints():
        if path.stem == options.checkpoint:
            return path, options.checkpoint
    raise MissingError(
        f"The encoder checkpoint {options.checkpoint} is not in the model store.",
        f"Get it with `sami2i models download {options.checkpoint}`.",
    )
