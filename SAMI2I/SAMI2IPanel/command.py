"""How `SAMI2ILib` is started in a process of its own: arguments, environment."""

import qt

from SAMI2IPanel.python_slicer import LIBRARY_PARENT


def libraryArguments(arguments: list[str]) -> list[str]:
    """The words after the interpreter: JSON lines, and an end when the panel lets go of stdin."""
    return ["-m", "SAMI2ILib", *arguments, "--progress", "json", "--stop-on-stdin-close"]


def libraryEnvironment() -> "qt.QProcessEnvironment":
    """This program's environment, with the library in reach and plain ASCII from the child."""
    environment = qt.QProcessEnvironment.systemEnvironment()
    environment.insert("PYTHONPATH", str(LIBRARY_PARENT))
    environment.insert("PYTHONUNBUFFERED", "1")
    # A chunk of bytes may end in the middle of a letter of two bytes.
    environment.insert("PYTHONIOENCODING", "ascii:backslashreplace")
    return environment
