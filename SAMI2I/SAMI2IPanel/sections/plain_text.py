"""Text that others wrote, such as the name of a volume or model, shown as it stands."""

from html import escape


def plainToolTip(text: str) -> str:
    """Give a tool tip that Qt does not take for rich text, which it guesses by the first tag."""
    return f"<qt>{escape(text)}</qt>" if "<" in text or "&" in text else text
