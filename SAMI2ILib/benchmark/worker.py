"""What runs in the child process of an arm: commands come on stdin, answers go to stdout."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from SAMI2ILib.errors import Sami2iError, as_sami2i_error
from SAMI2ILib.memory import keep_freed_memory, peak_gpu_bytes, peak_memory_bytes


class Worker:
    """Answers the commands of `process.ArmProcess`; each method of a command's name does it.

    Commands are JSON objects with "do", the answers objects without an "error", or with one.
    """

    def __init__(self) -> None:
        self._run: Any = None
        self._slices: Any = None
        self._outputs: dict[int, Any] = {}
        self._step: Any = None

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do what a command says."""
        options = dict(command)
        action: Callable[..., dict[str, Any]] = getattr(self, f"do_{options.pop('do')}")
        return action(**options)

    def do_ceiling(self, threads: int, device: str, size: int) -> dict[str, Any]:
        """Measure the ceiling."""
        from dataclasses import asdict

        from SAMI2ILib.benchmark.ceiling import measure_ceiling
        from SAMI2ILib.inference.device import select_device

        _set_threads(threads)
        device = select_device(device, "fp32").name
        return {"products": [asdict(p) for p in measure_ceiling(threads, device, size)]}

    def do_describe(self, model: str, slices: str, weights: str) -> dict[str, Any]:
        """Build a network once: save weights that all arms load, and count what it costs."""
        import numpy as np

        from SAMI2ILib.benchmark import subject as subjects

        subject = subjects.open_subject(model)
        chosen = subjects.cut_slices(np.load(slices), subject.slice_shape)
        np.save(Path(weights).with_suffix(".npy"), chosen)
        if subject.model is None:
            subjects.spread_output(subject.network, chosen[len(chosen) // 2][None])
            subjects.save_weights(subject.network, Path(weights))
        return {
            "title": subject.title,
            "slice_shape": list(subject.slice_shape),
            "parameters": sum(p.numel() for p in subject.network.parameters()),
            "gflop": subjects.count_flops(subject.network, subject.slice_shape) / 1e9,
        }

    def do_export(self, model: str, weights: str) -> dict[str, Any]:
        """Write a network as ONNX."""
        from SAMI2ILib.benchmark.onnx_runtime import export_onnx

        export_onnx(_load(model, Path(weights)), Path(weights).with_suffix(".onnx"))
        return {}

    def do_open(self, model: str, arm: str, threads: int, weights: str) -> dict[str, Any]:
        """Load a network and make an arm ready."""
        import numpy as np

        from SAMI2ILib.benchmark.arms import NAIVE, find_arm, open_arm

        if arm != NAIVE:  # our command line does it, a naive script does not
            keep_freed_memory()
        self._slices = np.load(Path(weights).with_suffix(".npy"))
        start = time.perf_counter()
        chosen, onnx_file = find_arm(arm), Path(weights).with_suffix(".onnx")
        if chosen.library != "onnxruntime":
            _set_threads(threads)
        self._run = open_arm(chosen, lambda: _load(model, Path(weights)), onnx_file, threads)
        return {"seconds": time.perf_counter() - start}

    def do_slice(self, index: int) -> dict[str, Any]:
        """Run one slice."""
        batch = self._slices[index : index + 1]
        start = time.perf_counter()
        self._outputs[index] = self._run(batch)[0]
        return {"seconds": time.perf_counter() - start}

    def do_batch(self, count: int) -> dict[str, Any]:
        """Run several slices at once."""
        import numpy as np

        batch = np.resize(self._slices, (count, *self._slices.shape[1:]))
        start = time.perf_counter()
        self._run(batch)
        return {"seconds": time.perf_counter() - start}

    def do_save(self, path: str) -> dict[str, Any]:
        """Write the outputs of the slices that were run, in the order of their numbers."""
        import numpy as np

        numbers = sorted(self._outputs)
        np.save(path, np.stack([self._outputs[n] for n in numbers]))
        return {"slices": numbers}

    def do_memory(self) -> dict[str, Any]:
        """Say how much memory this process has taken at most, and how much of the GPUs."""
        return {"peak_memory_bytes": peak_memory_bytes(), "peak_gpu_bytes": peak_gpu_bytes()}

    def do_head(
        self, model: str, arm: str, threads: int, weights: str, head: str, slices: int
    ) -> dict[str, Any]:
        """Translate a whole head, or its middle slices, as `sami2i translate` would."""
        from SAMI2ILib.benchmark.head import time_head

        keep_freed_memory()
        _set_threads(threads)
        return time_head(_load(model, Path(weights)), arm, Path(head), slices)

    def do_field(
        self, model: str, arm: str, threads: int, weights: str, size: int
    ) -> dict[str, Any]:
        """Make an arm ready for slices of another size, black around or cut off."""
        import dataclasses

        import numpy as np

        from SAMI2ILib.benchmark.arms import find_arm, open_arm
        from SAMI2ILib.benchmark.subject import cut_slices

        keep_freed_memory()
        _set_threads(threads)
        subject = _load(model, Path(weights))
        shape = (subject.slice_shape[0], size, size)
        subject = dataclasses.replace(subject, slice_shape=shape)
        stored = np.load(Path(weights).with_suffix(".npy"))
        self._slices = cut_slices(stored, shape)
        start = time.perf_counter()
        self._run = open_arm(find_arm(arm), lambda: subject, Path(), threads)
        return {"seconds": time.perf_counter() - start}

    def do_training_files(self, encoder: str, folder: str) -> dict[str, Any]:
        """Write random weights of a trunk and of CLIP, and a dataset, for both training loops."""
        from SAMI2ILib.benchmark.training import write_training_files

        write_training_files(encoder, Path(folder))
        return {}

    def do_training(self, loop: str, encoder: str, folder: str, threads: int) -> dict[str, Any]:
        """Prepare a training loop."""
        from SAMI2ILib.benchmark.training import LOOPS, trial_config

        if loop != "straightforward":
            keep_freed_memory()
        _set_threads(threads)
        self._step = LOOPS[loop](trial_config(encoder, Path(folder)))
        return {"precision": self._step.precision, "batch": self._step.batch}

    def do_step(self) -> dict[str, Any]:
        """Take one training step."""
        start = time.perf_counter()
        loss, waited = self._step.step()
        return {"seconds": time.perf_counter() - start, "waited_seconds": waited, "l1": loss}


def _load(model: str, weights: Path) -> Any:
    from SAMI2ILib.benchmark.subject import load_weights, open_subject

    subject = open_subject(model)
    if weights.is_file():
        load_weights(subject.network, weights)
    return subject


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def main() -> int:
    """Answer commands until stdin closes."""
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers, Worker())
    return 0


def serve(commands: TextIO, answers: TextIO, worker: Worker) -> None:
    """Answer one line of JSON by another; an error is an answer."""
    for line in commands:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the others go on
            known = error if isinstance(error, Sami2iError) else as_sami2i_error(error)
            answer = {"error": known.message}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    sys.exit(main())
