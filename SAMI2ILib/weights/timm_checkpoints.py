"""Where the ImageNet weights of ResViT's transformer are: a file, `timm`'s cache, or a download."""

from pathlib import Path

from SAMI2ILib.errors import MissingError, NetworkError, first_line

TRANSFORMER = "vit_base_r50_s16_224.orig_in21k"
"""The hybrid ViT-B/16 behind a ResNet-50, trained on ImageNet-21k, by its name in `timm`."""

_FILE = "model.safetensors"
_WAY_OUT = "Or train from scratch: --set baseline.pretrained=false."


def transformer_checkpoint(file: str = "", *, download: bool = False) -> Path:
    """Find the weights; nothing is downloaded unless `download` says so.

    Args:
        file: A file of the user's; wins over the cache.
        download: Let `timm` fetch what its cache lacks.

    Raises:
        MissingError: The weights are not on this machine, or `timm` is not installed.
        NetworkError: The download failed.
    """
    if file:
        if not Path(file).is_file():
            raise MissingError(f"There is no transformer checkpoint {file}.", "Check the path.")
        return Path(file)
    found = _in_cache()
    if found is None and download:
        _download()
        found = _in_cache()
    if found is None:
        raise MissingError(
            f"The weights of {TRANSFORMER} are not on this machine.",
            "Pass --download-weights to fetch them through timm, or name a file in "
            f"baseline.checkpoint. {_WAY_OUT}",
        )
    return found


def _in_cache() -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError as error:
        raise MissingError(
            "timm is not installed.", f"Install it with `pip install timm`. {_WAY_OUT}"
        ) from error
    path = try_to_load_from_cache(f"timm/{TRANSFORMER}", _FILE)
    return Path(path) if isinstance(path, str) and Path(path).is_file() else None


def _download() -> None:
    import timm

    try:
        timm.create_model(TRANSFORMER, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:
        reason = first_line(error)
        raise NetworkError(
            f"The weights of {TRANSFORMER} could not be downloaded: {reason}",
            "Check the connection, or name a file that was downloaded elsewhere.",
        ) from error
