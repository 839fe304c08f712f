"""Where the weights of CLIP are: a file, `open_clip`'s cache, or, when asked for, a download."""

from pathlib import Path
from typing import TYPE_CHECKING

from SAMI2ILib.errors import MissingError, NetworkError, first_line

if TYPE_CHECKING:
    from SAMI2ILib.models.clip import ClipConfig

# Under these names open_clip looks for weights whose entry names a repository and no file.
_DEFAULT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def clip_checkpoint(
    config: "ClipConfig", file: str = "", *, download: bool = False, way_out: str = ""
) -> Path:
    """Find the checkpoint of a CLIP; nothing is downloaded unless `download` says so.

    Args:
        config: Which CLIP.
        file: A file of the user's; wins over everything else.
        download: Let `open_clip` fetch what its cache lacks.
        way_out: What else the user could do where the weights are missing, for the message.

    Returns:
        An existing file.

    Raises:
        InputError: `open_clip` knows no such CLIP.
        MissingError: The weights are not on this machine, or `open_clip` is not installed.
        NetworkError: The download failed.
    """
    if file:
        if not Path(file).is_file():
            raise MissingError(f"There is no CLIP checkpoint {file}.", "Check the path.")
        return Path(file)
    found = _in_cache(config)
    if found is None and download:
        found = _download(config)
    if found is None:
        raise MissingError(
            f"The weights of {config.title} are not on this machine.",
            f"Pass --download-weights to fetch them through open_clip, or name a file. {way_out}",
        )
    return found


def _in_cache(config: "ClipConfig") -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    from SAMI2ILib.models.clip import pretrained_options

    options = pretrained_options(config)
    if repository := options.get("hf_hub"):
        name, _, file = repository.rpartition("/")
        for candidate in (file,) if file else _DEFAULT_FILES:
            path = try_to_load_from_cache(name, candidate)
            if isinstance(path, str) and Path(path).is_file():
                return Path(path)
    elif url := options.get("url"):
        path = Path("~/.cache/clip").expanduser() / url.rpartition("/")[2]
        return path if path.is_file() else None
    return None


def _download(config: "ClipConfig") -> Path | None:
    from SAMI2ILib.models.clip import import_open_clip, pretrained_options

    options = pretrained_options(config)
    if not options:
        return None
    open_clip = import_open_clip()
    try:
        return Path(open_clip.download_pretrained(options))
    except (OSError, RuntimeError, ValueError) as error:
        reason = first_line(error)
        raise NetworkError(
            f"The weights of {config.title} could not be downloaded: {reason}",
            "Check the connection, or name a file that was downloaded elsewhere.",
        ) from error
