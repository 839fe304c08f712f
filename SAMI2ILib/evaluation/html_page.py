"""Pieces of an HTML page that needs nothing but itself: no network, no script, no file beside it.

Every text that goes in is escaped here, and nowhere else.
"""

import base64
from collections.abc import Iterable, Sequence
from html import escape

from SAMI2ILib.about import INTENDED_USE, SOFTWARE_NAME, VERSION

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 0 auto; padding: 0 1rem 2rem;
  color: #1d2433; background: #fff; }
.banner { background: #7a1f1f; color: #fff; padding: .7rem 1rem; margin: 0 -1rem 1rem;
  font-weight: 600; position: sticky; top: 0; }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8884;
  vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
figure { margin: .5rem 0 1rem; } figure img { max-width: 100%; height: auto; border-radius: 4px; }
figcaption, .note { color: #5a6372; font-size: .9rem; }
.doubt { border-left: 4px solid #c77700; padding-left: .8rem; }
@media (prefers-color-scheme: dark) { body { color: #e4e7ee; background: #14171d; }
  figcaption, .note { color: #9aa4b5; } }
@media print { .banner { position: static; } figure { break-inside: avoid; } }
"""
GENERATOR = f"{SOFTWARE_NAME} report"


def page(title: str, sections: Iterable[str]) -> str:
    """Join sections to a page.

    Args:
        title: Plain text.
        sections: HTML from the functions of this module.
    """
    head = (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta name="generator" content="{escape(GENERATOR)}">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
    )
    banner = f'<div class="banner" role="note">SYNTHETIC IMAGE. {escape(INTENDED_USE)}</div>\n'
    foot = f'<p class="note">{escape(SOFTWARE_NAME)} {escape(VERSION)}</p>\n</body></html>\n'
    return head + banner + f"<h1>{escape(title)}</h1>\n" + "\n".join(sections) + foot


def section(heading: str, *parts: str) -> str:
    """A heading with what belongs to it, HTML from this module."""
    return f"<section><h2>{escape(heading)}</h2>\n" + "\n".join(parts) + "\n</section>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text; `kind` is "", "note" or "doubt"."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = True) -> str:
    """A table of plain texts.

    Args:
        header: One a column; empty for none.
        rows: The first column names the row.
        numbers: Whether the other columns hold numbers, which are set to the right.
    """
    kind = ' class="number"' if numbers else ""

    def line(cells: Sequence[str], tag: str) -> str:
        first, *others = cells
        rest = "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell in others)
        return f'<tr><th scope="row">{escape(first)}</th>{rest}</tr>'

    top = f"<thead>{line(header, 'th')}</thead>" if header else ""
    return f"<table>{top}<tbody>{''.join(line(row, 'td') for row in rows)}</tbody></table>"


def picture(png: bytes, description: str, caption: str = "") -> str:
    """A PNG inside the page.

    Args:
        png: The file's content.
        description: Says what it shows to those who do not see it.
        caption: Below it; empty for none.
    """
    data = base64.b64encode(png).decode("ascii")
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    image = f'<img alt="{escape(description)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}{below}</figure>"
