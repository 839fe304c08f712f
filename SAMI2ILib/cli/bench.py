"""`sami2i bench`: how long a whole head takes here, and how much memory."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.atomic import write_text
from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.memory import peak_memory_bytes

if TYPE_CHECKING:
    from SAMI2ILib.imaging.volume import Volume

HELP = "Measure speed and memory: a 256x256x130 head through a model, and the start of the program."

HEAD_SHAPE_KJI = (130, 256, 256)
HEAD_SPACING_MM = (0.9375, 0.9375, 1.25)
START_UP_RUNS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i bench` takes."""
    parser.add_argument("--model", help="id or file of a model (default: the bundled T1 to T2)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")


def run(args: argparse.Namespace, console: Console) -> int:
    """Time the start of the program, then one head from array to array."""
    import torch

    from SAMI2ILib.inference.device import select_device
    from SAMI2ILib.inference.model_loader import load_model
    from SAMI2ILib.inference.predictor import TorchPredictor
    from SAMI2ILib.inference.translate import translate
    from SAMI2ILib.weights.store import Store

    if args.threads:
        torch.set_num_threads(args.threads)
    device = select_device(args.device, args.precision)
    console.start(device.description, device.reason)
    figures: dict[str, Any] = {
        "device": device.description,
        "precision": device.precision,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "import_seconds": _start_up_seconds("import SAMI2ILib"),
        "help_seconds": _start_up_seconds(
            "import sys; from SAMI2ILib.cli.main import main; sys.exit(main(['--help']))"
        ),
    }
    head = benchmark_head()
    started = time.perf_counter()
    model = load_model(args.model or Store().choose("T1", "T2").path)
    predictor = TorchPredictor(model.network, device)
    figures["model"] = model.spec.id
    figures["load_seconds"] = time.perf_counter() - started
    started = time.perf_counter()
    translation = translate(head, model, predictor, on_progress=console.progress)
    figures["translate_seconds"] = time.perf_counter() - started
    figures["slices"] = translation.slice_count
    figures["translated_slices"] = translation.translated_slice_count
    figures["peak_memory_bytes"] = peak_memory_bytes()
    _say(figures, console)
    if args.json:
        write_text(json.dumps(figures, indent=2) + "\n", args.json)
    console.result(figures)
    return 0


def benchmark_head() -> "Volume":
    """Bring the sample head onto a grid as large as IXI's: 256x256x130, 0.94x0.94x1.25 mm, LPS."""
    import numpy as np

    from SAMI2ILib.assets import asset_path
    from SAMI2ILib.imaging.io import read_volume
    from SAMI2ILib.imaging.resample import resample
    from SAMI2ILib.imaging.volume import Grid

    sample = read_volume(asset_path("sample", "T1.nii.gz"))
    center = sample.grid.corners_ras().mean(axis=0)
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.diag([*HEAD_SPACING_MM, 1.0])
    middle = (np.array(HEAD_SHAPE_KJI[::-1]) - 1) / 2
    matrix[:3, 3] = center - matrix[:3, :3] @ middle
    return resample(sample, Grid(HEAD_SHAPE_KJI, matrix))


def _start_up_seconds(code: str) -> float:
    """Shortest of some runs of a new interpreter, which nothing else can have disturbed."""
    seconds = []
    for _ in range(START_UP_RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _say(figures: dict[str, Any], console: Console) -> None:
    peak = figures["peak_memory_bytes"]
    console.say(
        f"{figures['model']} on {figures['device']}, {figures['precision']}, "
        f"{figures['threads']} threads, torch {figures['torch']}\n"
        f"head of 256x256x130: {figures['translate_seconds']:.1f} s, of which "
        f"{figures['translated_slices']} of {figures['slices']} slices hold foreground\n"
        f"peak memory: {'unknown' if peak is None else f'{peak / 1e9:.2f} GB'}\n"
        f"loading the model: {figures['load_seconds']:.2f} s; "
        f"import SAMI2ILib: {figures['import_seconds'] * 1000:.0f} ms; "
        f"sami2i --help: {figures['help_seconds'] * 1000:.0f} ms (with the interpreter's own start)"
    )
