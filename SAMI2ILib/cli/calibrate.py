"""`sami2i calibrate`: what a model's uncertainty map is worth, measured on real pairs."""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SAMI2ILib.atomic import make_folder, write_text
from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.evaluate import choose_subjects
from SAMI2ILib.cli.option_values import add_device, name_list, some_names
from SAMI2ILib.tables import write_rows

if TYPE_CHECKING:
    from SAMI2ILib.evaluation.calibration import Calibration
    from SAMI2ILib.evaluation.real_pairs import RealPair
    from SAMI2ILib.inference.ensemble import Ensemble

HELP = "Measure a model's uncertainty map against its true error on real pairs."

_FIGURES = ("rank_correlation", "share_of_error", "factor", "rmse", "bias")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what `sami2i calibrate` takes."""
    parser.add_argument("model", help="id or file of a model")
    parser.add_argument(
        "--ensemble-with", action="append", default=[], metavar="MODEL",
        help="let this model take part too, by id or file; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--subjects", type=Path, required=True, help="folder with one folder a subject"
    )
    parser.add_argument("--only", type=some_names, default=(), help="these subjects: a,b,c")
    parser.add_argument("--exclude", type=name_list, default=(), help="not these subjects: a,b,c")
    parser.add_argument(
        "-o", "--output", type=Path, required=True,
        help="folder for calibration.json, calibration.csv and calibration.png",
    )  # fmt: skip
    add_device(parser)


@dataclass(frozen=True)
class _Measured:
    """One subject.

    Attributes:
        calibration: In units of [0, 1000].
        trained_on: Whether a model of the ensemble names it among its training data.
        nrmse: In the brain, of the ensemble's mean.
        nrmse_single: The same of a single pass of the first model.
        seconds: Of the ensemble.
        seconds_single: Of the single pass.
    """

    calibration: "Calibration"
    trained_on: bool
    nrmse: float
    nrmse_single: float
    seconds: float
    seconds_single: float


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure, print a table, write the report."""
    from SAMI2ILib.evaluation.calibration import save_plot
    from SAMI2ILib.evaluation.real_pairs import read_pair
    from SAMI2ILib.inference.device import select_device
    from SAMI2ILib.inference.ensemble import Ensemble, Member
    from SAMI2ILib.inference.model_loader import load_model
    from SAMI2ILib.inference.predictor import TorchPredictor

    device = select_device(args.device, "fp32")
    console.start(device.description, device.reason)
    models = [load_model(reference) for reference in (args.model, *args.ensemble_with)]
    ensemble = Ensemble([Member(model, TorchPredictor(model.network, device)) for model in models])
    spec = models[0].spec
    subjects = choose_subjects(args, spec.source_contrast, spec.target_contrast)
    make_folder(args.output)
    measured: dict[str, _Measured] = {}
    for number, subject in enumerate(subjects):
        console.progress("measure", number, len(subjects))
        percent = spec.preprocessing.normalization.percentile
        pair = read_pair(subject, spec.source_contrast, spec.target_contrast, percent)
        measured[pair.subject] = _measure(pair, ensemble)
    console.progress("measure", len(subjects), len(subjects))
    console.say(_text(measured, ensemble.passes))
    report = _report(measured, ensemble)
    write_text(
        json.dumps(report, indent=2, allow_nan=False) + "\n", args.output / "calibration.json"
    )
    rows = [{"subject": name, **row} for name, row in _rows(measured).items()]
    write_rows(rows, list(rows[0]), args.output / "calibration.csv")
    found = {name: one.calibration for name, one in measured.items()}
    save_plot(found, args.output / "calibration.png", f"{spec.id}, {ensemble.passes} passes")
    console.result({"report": str(args.output / "calibration.json"), "mean": report["mean"]})
    return 0


def _measure(pair: "RealPair", ensemble: "Ensemble") -> _Measured:
    from SAMI2ILib.evaluation.calibration import calibrate
    from SAMI2ILib.imaging.intensity import OUTPUT_RANGE
    from SAMI2ILib.inference.translate import translate

    first = ensemble.members[0]
    started = time.perf_counter()
    single = translate(pair.native, first.model, first.predictor)
    seconds_single = time.perf_counter() - started
    started = time.perf_counter()
    together = ensemble.translate(pair.native)
    seconds = time.perf_counter() - started
    comparison = pair.compare(lambda _volume: together.volume)
    error = comparison.synthetic.array_kji - comparison.target.array_kji
    if together.uncertainty is None:
        raise RuntimeError("an ensemble has an uncertainty map")
    doubt = pair.on_target_grid(together.uncertainty)
    return _Measured(
        calibration=calibrate(doubt, error * OUTPUT_RANGE, pair.brain),
        trained_on=any(_trained_on(member.model.spec, pair.subject) for member in ensemble.members),
        nrmse=comparison.scores.volume_brain.nrmse,
        nrmse_single=pair.compare(lambda _volume: single.volume).scores.volume_brain.nrmse,
        seconds=seconds,
        seconds_single=seconds_single,
    )


def _trained_on(spec: Any, subject: str) -> bool:
    """Whether a model names a subject in the notes of its training data."""
    return any(subject in data.note.replace(",", " ").split() for data in spec.training.data)


def _rows(measured: dict[str, _Measured]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            **{figure: getattr(one.calibration, figure) for figure in _FIGURES},
            "nrmse": one.nrmse,
            "nrmse_single": one.nrmse_single,
            "seconds": round(one.seconds, 2),
            "seconds_single": round(one.seconds_single, 2),
            "voxels": one.calibration.voxels,
            "trained_on": one.trained_on,
        }
        for name, one in measured.items()
    }


def _report(measured: dict[str, _Measured], ensemble: "Ensemble") -> dict[str, Any]:
    from SAMI2ILib.inference.provenance import describe_ensemble

    rows = _rows(measured)
    percent = ensemble.members[0].model.spec.preprocessing.normalization.percentile
    return {
        "ensemble": describe_ensemble(ensemble),
        "region": "brain",
        "unit": f"1/1000 of the target's {percent:g}th percentile",
        "subjects": {
            name: {**row, "bins": [asdict(b) for b in measured[name].calibration.bins]}
            for name, row in rows.items()
        },
        "mean": {
            key: sum(row[key] for row in rows.values()) / len(rows)
            for key in ("rank_correlation", "share_of_error", "nrmse", "nrmse_single")
        },
    }


def _text(measured: dict[str, _Measured], passes: int) -> str:
    lines = [
        f"In the brain, {passes} passes; 'top' is the share of the squared error in the most "
        "doubtful tenth; * was trained on",
        f"{'subject':20} {'Spearman':>8} {'top':>6} {'RMSE/std':>9} {'RMSE':>6} {'bias':>6} "
        f"{'NRMSE':>7} {'single':>7} {'seconds':>8} {'single':>7}",
    ]
    for name, row in _rows(measured).items():
        called = f"{name}{' *' if row['trained_on'] else ''}"
        factor = "-" if row["factor"] is None else f"{row['factor']:.1f}"
        lines.append(
            f"{called:20} {row['rank_correlation']:8.3f} {row['share_of_error']:6.2f} "
            f"{factor:>9} {row['rmse']:6.0f} {row['bias']:6.0f} {row['nrmse']:7.3f} "
            f"{row['nrmse_single']:7.3f} {row['seconds']:8.1f} {row['seconds_single']:7.1f}"
        )
    mean = sum(one.calibration.rank_correlation for one in measured.values()) / len(measured)
    return "\n".join([*lines, f"{'mean of ' + str(len(measured)):20} {mean:8.3f}"])
