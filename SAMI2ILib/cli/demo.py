"""`sami2i demo`: the whole path on one head, measured and drawn; what `make demo` runs."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.atomic import make_folder, write_text
from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.option_values import add_device

if TYPE_CHECKING:
    from SAMI2ILib.checks import Checks
    from SAMI2ILib.imaging.volume import Volume
    from SAMI2ILib.inference.device import Device

HELP = "Translate a simulated head, or one of yours, into T2 and PD; measure and draw it."

TARGETS = ("T2", "PD")
DEMO_SEED = 2024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i demo` takes."""
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--input", type=Path, help="a T1 of yours instead of a simulated head")
    add_device(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Simulate or read a T1, translate it, and write volumes, records, figures and a picture."""
    from SAMI2ILib.evaluation.figures import Panels, save_figure
    from SAMI2ILib.imaging.io import check_readable, read_volume
    from SAMI2ILib.imaging.normalized import normalize_volume
    from SAMI2ILib.inference.back_ends import select_inference_device
    from SAMI2ILib.inference.output_files import check_output, output_path

    if args.input is not None:
        check_readable(args.input)
    device = select_inference_device(args.device)
    console.start(device.description, device.reason)
    simulated = args.input is None
    source_path = args.input or _simulate(args.output / "simulated", console)
    source = normalize_volume(read_volume(source_path)).volume
    metrics: dict[str, Any] = {}
    for target in TARGETS:
        path = output_path(source_path, args.output, target)
        check_output(path, source_path)
        # What was just simulated is known to be a head: the checks are for scans.
        checks: Checks = "off" if simulated else "warn"
        synthetic = _translate(source_path, target, device, path, console, checks)
        truth = None
        if simulated:
            truth = normalize_volume(read_volume(source_path.with_name(f"{target}.nii.gz"))).volume
            metrics[target] = _measure(synthetic, truth, source_path.with_name("brain.nii.gz"))
        picture = args.output / f"demo-{target}.png"
        head = "simulated head" if simulated else source.name
        panels = Panels(source, synthetic, truth, "T1", target, truth_is="true")
        save_figure(panels, picture, f"Synthetic {target}, {head}")
        console.say(str(picture))
    if metrics:
        _write_metrics(args.output / "metrics.json", metrics, console)
    console.result({"output": str(args.output), "metrics": metrics})
    return 0


def _simulate(folder: Path, console: Console) -> Path:
    """Make the head that the demo translates; the models have never seen its anatomy's seed."""
    import numpy as np

    from SAMI2ILib.data.simulation.files import write_int16
    from SAMI2ILib.data.simulation.head import simulate_head
    from SAMI2ILib.data.simulation.sources import MNI, AnatomySource

    make_folder(folder)
    console.note("Simulating a head with its T1, T2 and PD (some 10 seconds).")
    anatomy_seed, head_seed = np.random.SeedSequence(DEMO_SEED).spawn(2)
    head = simulate_head(AnatomySource(MNI).load(anatomy_seed), head_seed)
    for name, volume in head.volumes().items():
        write_int16(volume, folder / f"{name}.nii.gz")
    return folder / "T1.nii.gz"


def _translate(
    source_path: Path,
    target: str,
    device: "Device",
    path: Path,
    console: Console,
    checks: "Checks",
) -> "Volume":
    """Translate with the default model, save volume and record; give the result in [0, 1]."""
    from SAMI2ILib.imaging.intensity import OUTPUT_RANGE
    from SAMI2ILib.inference.back_ends import make_predictor
    from SAMI2ILib.inference.model_loader import load_model
    from SAMI2ILib.inference.translate_file import translate_file
    from SAMI2ILib.weights.store import Store

    model = load_model(Store().choose("T1", target).path)
    predictor = make_predictor(
        model.network,
        device,
        model.spec.preprocessing.slice_shape,
        on_notice=lambda notice: console.warn(notice.code, notice.message),
    )
    saved = translate_file(
        source_path, path, model, predictor, on_progress=console.progress, checks=checks
    )
    for notice in saved.translation.notices:
        console.warn(notice.code, notice.message)
    console.say(str(path))
    volume = saved.translation.volume
    return volume.with_array(volume.array_kji / OUTPUT_RANGE)


def _measure(synthetic: "Volume", truth: "Volume", brain_path: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from SAMI2ILib.evaluation.metrics import score_volume
    from SAMI2ILib.imaging.io import read_volume
    from SAMI2ILib.imaging.orientation import reorient

    arrays = [
        reorient(volume, "LPS").array_kji for volume in (synthetic, truth, read_volume(brain_path))
    ]
    return asdict(score_volume(arrays[0], arrays[1], arrays[2] > 0))


def _write_metrics(path: Path, metrics: dict[str, Any], console: Console) -> None:
    write_text(json.dumps(metrics, indent=2) + "\n", path)
    console.say(str(path))
    for target, figures in metrics.items():
        brain = figures["brain"]
        console.say(
            f"{target} in the brain: NRMSE {brain['nrmse']:.3f}, SSIM {brain['ssim']:.3f}, "
            f"PSNR {brain['psnr']:.1f} dB"
        )
