"""Pages of documentation that hold the output of a command between two marks."""

from pathlib import Path

from SAMI2ILib.errors import InputError


def insert_between(path: Path, begin: str, end: str, content: str) -> str:
    """Put what a command wrote between the marks of a page.

    Args:
        path: Of the page; one that does not exist has nothing but the marks.
        begin: The first mark.
        end: The second one.
        content: Ends with a line end.

    Returns:
        The whole page; it is not written.

    Raises:
        InputError: The page cannot be read, or has not both marks, in their order.
    """
    try:
        page = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The page {path.name!r} cannot be read: {error}.", "Check it.") from error
    before, first, rest = (page or f"{begin}\n{end}\n").partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise InputError(
            f"The page {path.name!r} has no place for the tables.",
            f"Add the lines {begin} and {end} to it.",
        )
    return f"{before}{begin}\n{content}{end}{after}"
