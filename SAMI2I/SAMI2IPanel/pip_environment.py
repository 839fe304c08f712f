"""The environment that every pip obeys during an installation, the PyTorch extension's too."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from packaging.version import Version

# The first pip that can print its progress as lines.
_FIRST_WITH_RAW_PROGRESS = Version("24.1")


@contextmanager
def pipEnvironment(pins: Sequence[str], pipVersion: str) -> Iterator[None]:
    """Set the variables, and take them back afterwards.

    Args:
        pins: Constraints such as "numpy==2.0.2".
        pipVersion: Of Slicer's pip.
    """
    prefix = "sami2i-install-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
        # Written as an address, because pip splits this variable at spaces.
        given = os.environ.get("PIP_CONSTRAINT", "")
        changes = {
            "PIP_CONSTRAINT": f"{given} {constraints.as_uri()}".strip(),
            "PIP_NO_INPUT": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "SAM2_BUILD_CUDA": "0",
        }
        if Version(pipVersion) >= _FIRST_WITH_RAW_PROGRESS:
            # Without lines of progress a large download looks like a frozen Slicer, and is one:
            # Slicer repaints when pip says something.
            changes["PIP_PROGRESS_BAR"] = "raw"
        before = {name: os.environ.get(name) for name in changes}
        os.environ.update(changes)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
