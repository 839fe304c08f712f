"""ONNX Runtime on the same network: what one would reach for to run it without torch."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import MissingError

if TYPE_CHECKING:
    from SAMI2ILib.benchmark.subject import Subject

_HINT = "Run: pip install 'SAMI2ILib[bench]'."


def export_onnx(subject: "Subject", path: Path) -> None:
    """Write the network of a subject for batches of one slice.

    Args:
        subject: Its network, in evaluation mode.
        path: Of the ONNX file.

    Raises:
        MissingError: A package of the extra `bench` is not installed.
    """
    import torch

    slices = torch.zeros(1, *subject.slice_shape)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                subject.network,
                (slices,),
                str(path),
                input_names=["slices"],
                output_names=["image"],
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except ImportError as error:
        raise _not_installed(error) from error


def open_session(path: Path, threads: int) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Load an ONNX file with the defaults of ONNX Runtime; torch is not needed.

    Args:
        path: Of the ONNX file that `export_onnx` wrote.
        threads: Of the CPU.

    Returns:
        Maps (B, C, H, W) float32 in [0, 1] to (B, H, W), slice by slice.

    Raises:
        MissingError: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise _not_installed(error) from error
    onnxruntime.disable_telemetry_events()  # Windows has some
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(slices: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs = [session.run(None, {"slices": slices[n : n + 1]})[0] for n in range(len(slices))]
        image: NDArray[np.float32] = np.concatenate(outputs)[:, 0]
        return image

    return run


def _not_installed(error: ImportError) -> MissingError:
    name = str(error.name or error).partition(".")[0]
    return MissingError(f"The package {name} is not installed.", _HINT)
