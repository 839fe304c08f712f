"""The page that says what is promised names a test for each promise, and those tests exist."""

import ast
import re

from Testing.repo.listing import REPOSITORY

PAGE = REPOSITORY / "docs/concepts/safety.md"


def promises():
    """Each promise with the files that it is tested by."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith("| promise |"):
            promise, tested_by = line.strip("| ").split(" | ")
            yield promise, re.findall(r"\]\(([^)]+)\)", tested_by)


def test_every_promise_has_tests():
    found = dict(promises())
    assert len(found) > 15
    assert [promise for promise, links in found.items() if not links] == []


def test_files_that_are_named_hold_tests():
    for promise, links in promises():
        for link in links:
            path = (PAGE.parent / link).resolve()
            assert path.is_file(), (promise, link)
            if path.suffix == ".py":
                tree = ast.parse(path.read_text(encoding="utf-8"))
                names = [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
                assert any(name.startswith("test_") for name in names), link


def test_a_hole_is_reported_where_the_repository_is():
    text = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
    assert "SAMI2ILib/about.py" in text
    assert "@" not in text  # no address that nobody reads
