"""What a command wrote goes between the marks of a page, and nothing else changes."""

import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.marked_page import insert_between

BEGIN, END = "<!-- begin -->", "<!-- end -->"


def test_only_what_stands_between_the_marks_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    assert insert_between(page, BEGIN, END, "new\n") == f"{BEGIN}\nnew\n{END}\n"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    expected = f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert insert_between(page, BEGIN, END, "new\n") == expected


@pytest.mark.parametrize("text", ["before", f"{END}{BEGIN}"])
def test_page_without_both_marks_is_refused(tmp_path, text):
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(InputError, match=r"'page\.md' has no place for the tables"):
        insert_between(tmp_path / "page.md", BEGIN, END, "new\n")


def test_page_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "page.md").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"'page\.md' cannot be read"):
        insert_between(tmp_path / "page.md", BEGIN, END, "new\n")
