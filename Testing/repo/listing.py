"""What the project consists of: its files, and the lists that CMake installs from."""

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def tracked_files():
    """Name every file of the project: tracked, or new and not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("this is not a git checkout")
    names = [name for name in listing.stdout.decode().split("\0") if name]
    return [Path(name) for name in names if (REPOSITORY / name).is_file()]


def packaged_files(folder):
    """Name what a folder has to install, relative to it: every file but CMake's own."""
    inside = [path.relative_to(folder) for path in tracked_files() if path.is_relative_to(folder)]
    return [path for path in inside if path.name != "CMakeLists.txt"]


def cmake_list(path, variable):
    """Read the entries of `set(variable ...)` in a CMake file."""
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    match = re.search(rf"set\({variable}\n(.*?)^\s*\)", text, flags=re.DOTALL | re.MULTILINE)
    assert match, f"{path} sets no {variable}"
    return {line.strip() for line in match.group(1).splitlines()}
