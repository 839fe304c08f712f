"""One page of a study: tables beside the paper's figures, pictures, and where all of it is from.

The page needs no network: its style is inside, its pictures lie beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from SAMI2ILib.study.paper import SOURCE, Direction, published
from SAMI2ILib.study.results import BRAIN, FULL, METRICS, NO_VALUE, Table, TableCell, show

SMOKE_BANNER: Final = (
    "These are no results. This page comes from a smoke test: simulated heads, slices of 64x64 "
    "pixels, an eighth of all widths, encoders with random weights, seconds of training. It shows "
    "that every cell can be trained, measured and drawn; its figures say nothing about the systems."
)

_NAMES: Final[Mapping[str, str]] = {"psnr": "PSNR (dB) ↑", "ssim": "SSIM ↑", "nrmse": "NRMSE ↓"}
_STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1300px; margin: 2em auto; padding: 0 1em;
  color: #1b1b1b; background: #fff; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th, td { padding: 3px 6px; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 1px solid #333; } thead tr:first-child th { border-bottom: none; }
th.group, td.first { border-left: 1px solid #bbb; }
th.group, td.rms { text-align: center; }
tr.ours td { border-top: 1px solid #ddd; }
tr.paper td { color: #777; font-style: italic; background: #f4f4f4; }
td.best { font-weight: 700; } td.best::after { content: " ★"; color: #a06a00; }
td.missing { text-align: center; color: #8a1c1c; white-space: normal; }
td small.part { color: #8a1c1c; white-space: normal; }
small { color: #666; } td small { display: block; line-height: 1.1; } .scroll { overflow-x: auto; }
.banner { background: #fff3cd; border: 2px solid #d39e00; padding: 0.8em 1em; font-weight: 600; }
figure { margin: 1.2em 0; } figure img { max-width: 100%; } figcaption { color: #444; }
table.facts td, table.facts th { text-align: left; vertical-align: top; white-space: normal;
  border-top: 1px solid #e3e3e3; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes:
        file: Relative to the page.
        caption: Below it.
    """

    file: str
    caption: str


@dataclass(frozen=True)
class Page:
    """What the page says.

    Attributes:
        title: Its heading.
        lead: A paragraph on what was done.
        tables: The paper's tables.
        pictures: Its figures.
        facts: Tables of names and values, by their heading.
        lists: Tables with a header line, by their heading.
        is_smoke: Whether the figures mean nothing.
    """

    title: str
    lead: str
    tables: Sequence[Table]
    pictures: Sequence[Picture] = ()
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lists: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    is_smoke: bool = False


def write_page(page: Page) -> str:
    """Write the page as HTML; whatever text comes in is shown as it is."""
    banner = f'<p class="banner">{escape(SMOKE_BANNER)}</p>' if page.is_smoke else ""
    parts = [
        f"<h1>{escape(page.title)}</h1>",
        banner,
        f"<p>{escape(page.lead)}</p>",
        *(_table_section(table, page.is_smoke) for table in page.tables),
        *(_picture(picture) for picture in page.pictures),
        *(_spread_section(table) for table in page.tables),
        *(_facts_section(heading, facts) for heading, facts in page.facts.items()),
        *(_list_section(heading, rows) for heading, rows in page.lists.items()),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(page.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def _table_section(table: Table, is_smoke: bool) -> str:
    """The table in the paper's form: each system's figures, the paper's below them."""
    subject = "systems" if table.number == 1 else "encoders"
    marked = "" if is_smoke else " ★ marks the best of ours in a column."
    note = (
        f"Mean ± standard deviation over the test subjects, full field.{marked} "
        f"In gray italics: the figures that the paper prints ({SOURCE})."
    )
    head = _head(table.directions, "system" if table.number == 1 else "encoder", METRICS)
    body = []
    for system in table.systems:
        title = escape(table.row_title(system))
        cells = [table.cells[system, direction] for direction in table.directions]
        ours = "".join(_figures(cell, FULL, is_smoke) for cell in cells)
        body.append(f'<tr class="ours"><td>{title}</td>{ours}</tr>')
        theirs = "".join(_paper_figures(system, direction) for direction in table.directions)
        body.append(f'<tr class="paper"><td>{title}, the paper</td>{theirs}</tr>')
    rms = "".join(
        f'<td class="rms first" colspan="{len(METRICS)}">{_target_rms(table, direction)}</td>'
        for direction in table.directions
    )
    body.append(f'<tr class="ours"><td>RMS of the target, test subjects</td>{rms}</tr>')
    return (
        f"<h2>Table {table.number}: {subject}</h2>\n<p><small>{escape(note)} PSNR depends on the "
        f"scale of the target, whose RMS is in the last line: compare NRMSE first.</small></p>\n"
        + _scroll(head, body)
    )


def _spread_section(table: Table) -> str:
    """Figures in the brain, and intervals and tests of both."""
    rows: list[tuple[str, ...]] = [
        (
            "where", "metric", "direction", "system", "mean", "95 % interval",
            "deviation over seeds", "next best", "difference", "p (Holm)",
        )
    ]  # fmt: skip
    for where, metrics in (("full field", FULL), ("in the brain", BRAIN)):
        for metric in metrics:
            for direction in table.directions:
                cells = [table.cells[system, direction] for system in table.systems]
                there = [cell for cell in cells if metric in cell.summaries]
                ranked = sorted(there, key=lambda cell: cell.summaries[metric].rank)
                rows += [_spread_row(table, where, metric, cell) for cell in ranked]
    if len(rows) == 1:
        return ""
    note = (
        "Bootstrap 95 % intervals over the subjects; paired Wilcoxon test against the next-best "
        "system, corrected after Holm. Systems stand from the best to the worst."
    )
    heading = f"Table {table.number} in detail"
    return (
        f"<details><summary><b>{heading}</b>: intervals, tests, figures in the brain</summary>\n"
        f"<p><small>{escape(note)}</small></p>\n{_plain_table(rows)}</details>"
    )


def _spread_row(table: Table, where: str, metric: str, cell: TableCell) -> tuple[str, ...]:
    summary = cell.summaries[metric]
    interval = NO_VALUE
    if summary.low is not None and summary.high is not None:
        interval = f"{show(summary.low, metric)} to {show(summary.high, metric)}"
    return (
        where,
        _NAMES[metric.rpartition("_")[2]],
        cell.direction.title,
        table.row_title(cell.system),
        show(summary.mean, metric),
        interval,
        show(cell.seed_spread.get(metric), metric),
        table.row_title(summary.next_best) if summary.next_best else "-",
        show(summary.difference, metric) if summary.next_best else "-",
        "-" if not summary.next_best else _p_value(summary.p_holm),
    )


def _p_value(p: float | None) -> str:
    if p is None:
        return NO_VALUE
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _head(directions: Sequence[Direction], first: str, metrics: Sequence[str]) -> str:
    groups = "".join(
        f'<th class="group" colspan="{len(metrics)}">{escape(one.title)}</th>' for one in directions
    )
    names = "".join(
        f'<th class="first">{_NAMES[metric]}</th>' if n == 0 else f"<th>{_NAMES[metric]}</th>"
        for _ in directions
        for n, metric in enumerate(metrics)
    )
    return f"<tr><th>{first}</th>{groups}</tr><tr><th></th>{names}</tr>"


def _figures(cell: TableCell, metrics: Sequence[str], is_smoke: bool) -> str:
    if not cell.summaries:
        return (
            f'<td class="missing first" colspan="{len(metrics)}">'
            f"{escape(cell.why_not or 'not measured')}</td>"
        )
    parts = []
    for n, metric in enumerate(metrics):
        summary = cell.summaries[metric]
        names = ["first"] if n == 0 else []
        if metric in cell.best and not is_smoke:
            names.append("best")
        kind = f' class="{" ".join(names)}"' if names else ""
        text = f"{show(summary.mean, metric)} <small>± "
        text += f"{show(summary.standard_deviation, metric)}</small>"
        if n == 0 and cell.why_not:  # measured, but not with all seeds
            text += f' <small class="part">{escape(cell.why_not)}</small>'
        parts.append(f"<td{kind}>{text}</td>")
    return "".join(parts)


def _paper_figures(system: str, direction: Direction) -> str:
    figures = published(system, direction)
    values = [None if figures is None else getattr(figures, metric) for metric in METRICS]
    shown = [show(value, metric) for metric, value in zip(METRICS, values, strict=True)]
    first, *others = shown
    return f'<td class="first">{first}</td>' + "".join(f"<td>{value}</td>" for value in others)


def _target_rms(table: Table, direction: Direction) -> str:
    for system in table.systems:
        cell = table.cells[system, direction]
        if cell.summaries:
            subjects = next(iter(cell.summaries.values())).subjects
            return f"{cell.target_rms:.3f}, {subjects}"
    return NO_VALUE


def _picture(picture: Picture) -> str:
    name, caption = escape(picture.file, quote=True), escape(picture.caption)
    return (
        f'<figure><img src="{name}" alt="{escape(picture.caption, quote=True)}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _facts_section(heading: str, facts: Mapping[str, str]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value or NO_VALUE)}</td></tr>"
        for name, value in facts.items()
    )
    return f'<h2>{escape(heading)}</h2>\n<table class="facts">{rows}</table>'


def _list_section(heading: str, rows: Sequence[Sequence[str]]) -> str:
    return f"<h2>{escape(heading)}</h2>\n{_plain_table(rows, 'facts')}"


def _plain_table(rows: Sequence[Sequence[str]], kind: str = "") -> str:
    head, *body = (
        "".join(f"<{tag}>{escape(text or NO_VALUE)}</{tag}>" for text in row)
        for tag, row in zip(["th"] + ["td"] * (len(rows) - 1), rows, strict=True)
    )
    return _scroll(f"<tr>{head}</tr>", (f"<tr>{row}</tr>" for row in body), kind)


def _scroll(head: str, body: Iterable[str], kind: str = "") -> str:
    lines = "\n".join(body)
    name = f' class="{kind}"' if kind else ""
    return (
        f'<div class="scroll"><table{name}><thead>{head}</thead>\n<tbody>\n{lines}\n'
        "</tbody></table></div>"
    )
