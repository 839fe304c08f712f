"""Translation of a module's texts: the host speaks English only."""

from __future__ import annotations


def translate(context: str, text: str) -> str:
    """The text in the application's language."""
    from slicer import app

    return str(app.translate(context, text))


def tr(text: str) -> str:
    """`translate` with the context left out; imported as `_` by convention."""
    return translate("", text)
