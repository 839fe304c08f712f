"""The options that choose a model and where it runs, shared by the commands that translate."""

import argparse
from typing import TYPE_CHECKING

from SAMI2ILib.cli.console import Console
from SAMI2ILib.cli.option_values import add_device, positive_count
from SAMI2ILib.errors import InputError, Sami2iError

if TYPE_CHECKING:
    from SAMI2ILib.imaging.notice import Notice
    from SAMI2ILib.inference.device import Device
    from SAMI2ILib.inference.ensemble import Ensemble
    from SAMI2ILib.inference.model_loader import LoadedModel
    from SAMI2ILib.inference.predictor import PlacedPredictor


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument(
        "--target", metavar="T2", help="contrast to make: T2 or PD; needed unless --model says it"
    )
    parser.add_argument(
        "--source", metavar="T1", help="contrast of the input (default: the model's)"
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="id or file of a model (default: the best for the pair)"
    )
    add_device(parser)
    parser.add_argument(
        "--precision", default="auto", help="auto, fp32, bf16 or fp16 (default: auto)"
    )
    parser.add_argument(
        "--backend", default="auto", help="auto, torch or openvino (default: the fastest)"
    )
    parser.add_argument(
        "--batch-size",
        type=positive_count,
        metavar="N",
        help="slices at a time (default: what the memory holds)",
    )
    parser.add_argument(
        "--cuda-graphs", action="store_true",
        help="on a GPU, replay the network's kernels as one: for small models",
    )  # fmt: skip


def add_checks_argument(parser: argparse.ArgumentParser) -> None:
    """Define what becomes of an input that is unlike those of the model."""
    parser.add_argument(
        "--checks", choices=("off", "warn", "strict"), default="warn",
        help="look whether the input is a head in the model's source contrast, whole and without "
        "artifacts: warn (default), refuse a doubtful one (strict), or do not look (off)",
    )  # fmt: skip


def add_ensemble_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options of an uncertainty map."""
    parser.add_argument(
        "--uncertainty", action="store_true",
        help="translate several views of each slice: their mean is the result, their standard "
        "deviation is written beside it (up to 8 times the time)",
    )  # fmt: skip
    parser.add_argument(
        "--ensemble-with", action="append", default=[], metavar="MODEL",
        help="let this model take part too, by id or file; may be repeated; implies --uncertainty",
    )  # fmt: skip


def load_chosen(
    args: argparse.Namespace, console: Console, device_request: str | None = None
) -> "tuple[LoadedModel, PlacedPredictor]":
    """Load the model that was asked for, choose where and by what it runs, and say it.

    Args:
        args: What the options gave.
        console: Told the device, and when memory runs out.
        device_request: Instead of `--device`.

    Raises:
        InputError: Neither a model nor a target is given, or no such device or back end.
        MissingError: No model for the pair, or its encoder, device or back end is not there.
        ModelError: The model is damaged, or made for another pair of contrasts.
    """
    if args.model is None and args.target is None:
        raise InputError("Neither --target nor --model is given.", "Add --target T2 or PD.")

    from SAMI2ILib.inference.back_ends import select_inference_device
    from SAMI2ILib.inference.model_loader import load_model
    from SAMI2ILib.inference.translate import check_contrasts
    from SAMI2ILib.weights.store import Store

    device = select_inference_device(device_request or args.device, args.precision, args.backend)
    listener = _Listener()
    try:
        model = load_model(args.model or Store().choose(args.source or "T1", args.target).path)
        check_contrasts(model, args.source, args.target)
        predictor = _make_predictor(model, device, args, args.cuda_graphs, listener)
    except Sami2iError:
        console.start(device.description, device.reason)
        listener.tell(console)
        raise
    back_end = predictor.back_end
    console.start(device.description, device.reason, back_end.to_json() if back_end else None)
    listener.tell(console)
    return model, predictor


def load_ensemble(
    args: argparse.Namespace,
    console: Console,
    model: "LoadedModel",
    predictor: "PlacedPredictor",
) -> "Ensemble | None":
    """Load the further models of an ensemble, where one was asked for.

    Args:
        args: What the options gave.
        console: Told when memory runs out, and how many passes there will be.
        model: From `load_chosen`.
        predictor: From `load_chosen`; the others run where it does.

    Raises:
        InputError: A model is given twice.
        MissingError: No such model, or its encoder is not there.
        ModelError: A model is damaged, or made for another pair of contrasts.
    """
    if not (args.uncertainty or args.ensemble_with):
        return None

    from SAMI2ILib.inference.ensemble import Ensemble, Member
    from SAMI2ILib.inference.model_loader import load_model

    others = [load_model(reference) for reference in args.ensemble_with]
    listener = _Listener()
    listener.tell(console)
    # The first may have left a GPU whose memory did not hold it: what follows is without graphs.
    device, graphs = predictor.device, args.cuda_graphs and predictor.device.is_cuda
    members = [
        Member(other, _make_predictor(other, device, args, graphs, listener)) for other in others
    ]
    ensemble = Ensemble([Member(model, predictor), *members])
    console.note(f"Uncertainty from {ensemble.passes} passes over each volume.")
    return ensemble


class _Listener:
    """Keeps what a predictor has to say until the console has said where the work runs."""

    def __init__(self) -> None:
        self._console: Console | None = None
        self._kept: list[Notice] = []

    def hear(self, notice: "Notice") -> None:
        if self._console is None:
            self._kept.append(notice)
        else:
            self._console.warn(notice.code, notice.message)

    def tell(self, console: Console) -> None:
        self._console = console
        for notice in self._kept:
            console.warn(notice.code, notice.message)


def _make_predictor(
    model: "LoadedModel",
    device: "Device",
    args: argparse.Namespace,
    cuda_graphs: bool,
    listener: _Listener,
) -> "PlacedPredictor":
    from SAMI2ILib.inference.back_ends import make_predictor

    return make_predictor(
        model.network,
        device,
        model.spec.preprocessing.slice_shape,
        args.backend,
        args.batch_size,
        listener.hear,
        cuda_graphs,
    )
