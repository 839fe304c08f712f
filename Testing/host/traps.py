"""A lint for code that runs inside Slicer: what Python accepts and PythonQt or MRML does not.

Static, so that lines no test runs are checked too. `python -m Testing.host.traps SAMI2I` prints
what it finds.
"""

from __future__ import annotations

import ast
import functools
import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAMES: dict[str, dict] = json.loads(Path(__file__).with_name("names.json").read_text("utf-8"))[
    "classes"
]

# Qt properties whose getter has the property's name: PythonQt has the attribute only.
PROPERTY_GETTERS = frozenset(
    """text toolTip value minimum maximum currentIndex currentText currentData windowTitle
    objectName placeholderText title icon pixmap collapsed singleStep decimals suffix prefix
    styleSheet currentPath directory currentNodeID noneEnabled baseName nodeTypes plainText
    html""".split()  # noqa: SIM905
)

# Importing one of these at module level makes Slicer start slowly, or fail without it.
HEAVY = frozenset(
    """torch torchvision sam2 open_clip timm SimpleITK scipy skimage sklearn pandas matplotlib
    nibabel nilearn openvino safetensors jsonschema requests pydicom tqdm""".split()  # noqa: SIM905
)
PYTHONQT_NAMES = frozenset({"name", "connect", "disconnect", "delete", "className"})
STDOUT_METHODS = frozenset({"write", "flush", "isatty"})
INSTALLERS = frozenset({"pip_install", "pip_ensure", "pip_uninstall"})


@dataclass(frozen=True)
class Trap:
    """One finding."""

    path: str
    line: int
    rule: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.advice}"


def dotted(node: ast.AST) -> list[str]:
    """["self", "ui", "applyButton"] for `self.ui.applyButton`; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def isQtClass(path: list[str]) -> bool:
    """`qt.QLabel`, `ctk.ctkCheckBox`, `slicer.qMRMLWidget`."""
    return len(path) == 2 and (
        (path[0] == "qt" and path[1][:1] == "Q")
        or (path[0] == "ctk" and path[1].startswith("ctk"))
        or (path[0] == "slicer" and path[1].startswith(("qMRML", "qSlicer")))
    )


def widgetClasses(uiFiles: list[Path]) -> dict[str, str]:
    """Object name to class name, of all `.ui` files given."""
    return {
        element.get("name", ""): element.get("class", "")
        for path in uiFiles
        for element in ET.parse(path).iter("widget")
    }


def exposedNames(className: str) -> set[str] | None:
    """All attributes of a widget class as PythonQt shows them; None if it is not known here."""
    names: set[str] = set()
    while className in NAMES:
        names |= set(NAMES[className]["names"])
        className = NAMES[className]["extends"]
    try:
        from PySide6 import QtWidgets
    except ImportError:
        return None
    qtClass = getattr(QtWidgets, className, None)
    if qtClass is None:
        return None
    return names | set(dir(qtClass)) | propertyNames(qtClass) | PYTHONQT_NAMES


@functools.cache
def propertyNames(qtClass: type) -> set[str]:
    """The Qt properties of a class; where the host runs, they are in `dir` already."""
    try:
        meta = qtClass.staticMetaObject
        return {meta.property(index).name() for index in range(meta.propertyCount())}
    except (
        RuntimeError
    ):  # PySide6 drops this object with the first widget that was asked for its own
        return set()


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, widgets: dict[str, str]) -> None:
        self.path = path
        self.widgets = widgets
        self.found: list[Trap] = []
        self.functions: list[str] = []

    def report(self, node: ast.AST, rule: str, advice: str) -> None:
        self.found.append(Trap(self.path, node.lineno, rule, advice))  # type: ignore[attr-defined]

    # Imports

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.checkImport(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0:
            self.checkImport(node, node.module or "")

    def checkImport(self, node: ast.AST, name: str) -> None:
        top = name.split(".", maxsplit=1)[0]
        if top in HEAVY and not self.functions:
            self.report(node, "heavy-import", f"import {top} inside the function that needs it")
        if top == "imp":
            self.report(node, "imp", "Python 3.12 has no imp: use importlib")
        if top in ("PySide6", "PySide2", "PyQt5", "PyQt6", "shiboken6"):
            self.report(node, "pyside", "Slicer has PythonQt: import qt")
        if top == "tqdm":
            self.report(node, "stdout", "Slicer's sys.stdout cannot show tqdm's bars")
        if top in ("threading", "concurrent", "multiprocessing"):
            self.report(node, "thread", "Python threads starve in Slicer: use a qt.QProcess")

    # Classes and functions

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            if isQtClass(dotted(base)):
                self.report(
                    node, "subclass-qt", "PythonQt classes cannot be subclassed safely: hold one"
                )
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.functions.append(node.name)
        self.generic_visit(node)
        self.functions.pop()

    # Attributes

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = dotted(node)
        if path[:1] == ["qt"] and len(path) == 4 and all(part[:1].isupper() for part in path[1:]):
            self.report(
                node, "scoped-enum", f"PythonQt has no scoped enums: qt.{path[1]}.{path[3]}"
            )
        if path[:1] == ["qt"] and len(path) == 2 and path[1] in ("Signal", "Slot", "Property"):
            self.report(node, "pyside", f"qt.{path[1]} is PySide's, PythonQt does not have it")
        onStream = path[:2] in (["sys", "stdout"], ["sys", "stderr"]) and len(path) == 3
        if onStream and path[2] not in STDOUT_METHODS:
            self.report(node, "stdout", f"Slicer's {path[0]}.{path[1]} has no {path[2]}")
        self.checkWidgetAttribute(node, path)
        self.generic_visit(node)

    def checkWidgetAttribute(self, node: ast.Attribute, path: list[str]) -> None:
        if path[:1] == ["self"]:
            path = path[1:]
        if path[:1] not in (["ui"], ["_ui"]) or len(path) < 2 or not self.widgets:
            return
        if path[1] not in self.widgets:
            if len(path) == 2:
                self.report(node, "ui-name", f"no .ui file has a widget {path[1]!r}")
            return
        if len(path) == 3:
            className = self.widgets[path[1]]
            exposed = exposedNames(className)
            if exposed is not None and path[2] not in exposed:
                self.report(node, "ui-attribute", f"PythonQt's {className} has no {path[2]!r}")

    # Calls

    def visit_Call(self, node: ast.Call) -> None:
        path = dotted(node.func)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in PROPERTY_GETTERS and not node.args and not node.keywords:
            self.report(node, "getter-call", f"a Qt property is an attribute: .{name} without ()")
        if path in (["qt", "QThread"], ["qt", "QThreadPool"]):
            self.report(node, "thread", "Python threads starve in Slicer: use a qt.QProcess")
        if isQtClass(path) and node.keywords:
            self.report(node, "qt-keyword", f"no keyword arguments to {'.'.join(path)}(...)")
        if name == "connect" or path[-1:] == ["singleShot"]:
            self.checkTargets(node)
        called = path[-1] if path else name
        if called in INSTALLERS and (
            not self.functions or self.functions[-1] in ("__init__", "setup")
        ):
            self.report(node, "pip", "install after the user said yes, never at start-up")
        self.generic_visit(node)

    def checkTargets(self, node: ast.Call) -> None:
        for target in node.args:
            if isinstance(target, ast.Call) and dotted(target.func)[-1:] == ["partial"]:
                self.report(node, "partial", "connect a method or a lambda, not functools.partial")
            if isinstance(target, ast.Lambda) and target.args.defaults:
                self.report(
                    node, "lambda-default", "the signal's arguments overwrite the lambda's defaults"
                )


def findTraps(
    source: str, path: str = "<string>", widgets: dict[str, str] | None = None
) -> list[Trap]:
    """All traps in one file's text; `widgets` maps the names in its `.ui` files to classes."""
    finder = _Finder(path, widgets or {})
    finder.visit(ast.parse(source, path))
    return finder.found


def trapsUnder(folder: Path) -> Iterator[Trap]:
    """All traps in the Python files below a module's folder."""
    widgets = widgetClasses(sorted(folder.rglob("*.ui")))
    for path in sorted(folder.rglob("*.py")):
        yield from findTraps(path.read_text("utf-8"), str(path), widgets)


if __name__ == "__main__":
    traps = [trap for argument in sys.argv[1:] for trap in trapsUnder(Path(argument))]
    print(*traps, sep="\n")
    sys.exit(1 if traps else 0)
