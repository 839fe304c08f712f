"""The fault matrix is complete: all faults are tried, all marks are faults, the page shows all."""

import ast
import re

from Testing.faults.catalog import FAULTS
from Testing.repo.listing import REPOSITORY, tracked_files

PAGE = REPOSITORY / "docs/reference/faults.md"


def marked_faults():
    """Each (fault, file) that a test is marked with."""
    for path in tracked_files():
        if not (path.name.startswith("test_") and path.suffix == ".py"):
            continue
        for node in ast.walk(ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("fault"):
                        yield from ((argument.value, path.as_posix()) for argument in mark.args)


def page_rows():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line[:2] == "| "}


def test_every_fault_is_tried_and_every_mark_is_a_fault():
    assert {name for name, _path in marked_faults()} == set(FAULTS)


def test_page_shows_every_fault_with_every_file_that_tries_it():
    rows = page_rows()
    for fault in FAULTS.values():
        assert f"| {fault.holds} | {fault.exit_code} |" in rows[fault.happens]
    for name, path in marked_faults():
        assert f"(../../{path})" in rows[FAULTS[name].happens], (name, path)


def test_page_shows_no_failure():
    results = {happens: row.strip("| ").split(" | ")[-1] for happens, row in page_rows().items()}
    for fault in FAULTS.values():
        assert re.fullmatch(r"[1-9]\d* passed( \(.*\))?", results[fault.happens]), fault.happens
