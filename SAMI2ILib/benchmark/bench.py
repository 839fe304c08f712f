"""A benchmark that is under way: its processes, its files, its time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from SAMI2ILib.benchmark.budget import Budget
from SAMI2ILib.benchmark.ceiling import Product
from SAMI2ILib.benchmark.plan import Plan
from SAMI2ILib.benchmark.process import ArmProcess

CACHE_VARIABLE = "SAMI2I_CACHE_DIR"


@dataclass(frozen=True)
class Files:
    """What the processes share.

    Attributes:
        folder: Temporary; it holds everything.
        head: The whole head.
        slices: Some of its slices.
    """

    folder: Path
    head: Path
    slices: Path

    @property
    def environment(self) -> dict[str, str]:
        """Lets all processes share a cache of compiled networks that begins empty."""
        return {CACHE_VARIABLE: str(self.folder / "cache")}


@dataclass
class Bench:
    """A benchmark that is under way.

    Attributes:
        plan: What to measure.
        files: What the processes share.
        budget: Of the whole benchmark.
        say: Told what is being measured.
        products: The ceiling, once it has been measured.
        trouble: By kind of device, why nothing can run there.
    """

    plan: Plan
    files: Files
    budget: Budget
    say: Callable[[str], None] = lambda _text: None
    products: list[Product] = field(default_factory=list)
    trouble: dict[str, str] = field(default_factory=dict)

    def start(self) -> ArmProcess:
        """Start a process."""
        return ArmProcess(self.files.environment)

    def ask_once(self, do: str, timeout: float, **options: Any) -> dict[str, Any]:
        """Ask a process of its own one thing; its peak of memory comes with the answer.

        Raises:
            ArmFailedError: As in `ArmProcess.ask`.
        """
        with self.start() as process:
            answer = process.ask(do, timeout, **options)
            return {**answer, **process.ask("memory", timeout)}

    def load_options(self, model: str, arm: str) -> dict[str, Any]:
        """What a process needs to load a model for an arm."""
        return {
            "model": model,
            "arm": arm,
            "threads": self.plan.threads,
            "weights": str(self.weights_file(model)),
        }

    def weights_file(self, model: str) -> Path:
        """Where a model's weights lie for all its arms; beside it are its slices and ONNX file."""
        number = self.plan.models.index(model)
        return self.files.folder / f"model-{number}.safetensors"
