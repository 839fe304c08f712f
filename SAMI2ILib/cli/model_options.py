"""The options that choose a model and where it runs, shared by the commands that translate."""

import argparse
from typing import TYPE_CHECKING

from SAMI2ILib.cli.console import Console
from SAMI2ILib.errors import InputError

if TYPE_CHECKING:
    from SAMI2ILib.inference.model_loader import LoadedModel
    from SAMI2ILib.inference.predictor import TorchPredictor


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument("--target", help="contrast to make: T2 or PD")
    parser.add_argument("--source", help="contrast of the input (default: the model's)")
    parser.add_argument("--model", help="id or file of a model (default: the best for the pair)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--precision", default="auto", help="auto, fp32, bf16 or fp16 (default: auto)"
    )
    parser.add_argument(
        "--batch-size", type=_positive, help="slices at a time (default: what the memory holds)"
    )


def load_chosen(
    args: argparse.Namespace, console: Console, device_request: str | None = None
) -> "tuple[LoadedModel, TorchPredictor]":
    """Choose the device, say it, and load the model that was asked for.

    Args:
        args: What the options gave.
        console: Told the device, and when memory runs out.
        device_request: Instead of `--device`.

    Raises:
        InputError: Neither a model nor a target is given, or no such device.
        MissingError: No model for the pair, or its encoder or the device is not there.
        ModelError: The model is damaged, or made for another pair of contrasts.
    """
    if args.model is None and args.target is None:
        raise InputError("Neither --target nor --model is given.", "Add --target T2 or PD.")

    from SAMI2ILib.inference.device import select_device
    from SAMI2ILib.inference.model_loader import load_model
    from SAMI2ILib.inference.predictor import TorchPredictor
    from SAMI2ILib.inference.translate import check_contrasts
    from SAMI2ILib.weights.store import Store

    device = select_device(device_request or args.device, args.precision)
    console.start(device.description, device.reason)
    model = load_model(args.model or Store().choose(args.source or "T1", args.target).path)
    check_contrasts(model, args.source, args.target)
    predictor = TorchPredictor(
        model.network,
        device,
        args.batch_size,
        on_notice=lambda notice: console.warn(notice.code, notice.message),
    )
    return model, predictor


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value
