"""The documents against the software: commands, options, headings and pictures that they name."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from SAMI2ILib.cli.main import COMMANDS, _make_parser
from Testing.repo.listing import REPOSITORY, tracked_files

PICTURE_BYTES = 200_000
SMALLEST_PICTURE = 256  # pixels of the longer side; icons are smaller


def documents() -> dict[Path, str]:
    """The text of every Markdown file by its path in the repository."""
    return {
        path: (REPOSITORY / path).read_text(encoding="utf-8")
        for path in tracked_files()
        if path.suffix == ".md"
    }


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Every option of a command, those of its nested commands too."""
    found = set()
    for action in parser._actions:
        found.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for nested in action.choices.values():
                found |= options(nested)
    return found


def commands() -> dict[str, set[str]]:
    """Every command with its options."""
    parser = _make_parser()
    (nested,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return {name: options(command) for name, command in nested.choices.items()}


def named_commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every `sami2i COMMAND ...` of a document with the options behind it."""
    joined = text.replace("\\\n", " ")
    for name, rest in re.findall(r"(?:sami2i|SAMI2ILib) ([a-z][a-z-]*)([^\n`]*)", joined):
        before_remark = rest.split(" #")[0]
        yield name, re.findall(r"(?<![\w-])--[a-z][\w-]*", before_remark)


def anchor(heading: str) -> str:
    """What a heading is called in a link, as GitHub makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def test_documented_commands_and_options_exist():
    known = commands()
    wrong = [
        f"{path}: {name} {' '.join(used)}"
        for path, text in documents().items()
        for name, used in named_commands(text)
        if name not in known or not set(used) <= known[name]
    ]
    assert wrong == []


def test_every_command_is_in_the_reference():
    reference = documents()[Path("docs/reference/command-line.md")]
    assert [c for c in COMMANDS if not re.search(rf"^\| `{c}[ `]", reference, re.M)] == []


def documented_options(text: str) -> set[str]:
    """Every option that stands in the lines of a text as code."""
    without_blocks = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    code = " ".join(re.findall(r"`([^`\n]+)`", without_blocks))
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code))


def test_every_option_is_in_the_entry_of_its_command():
    reference = documents()[Path("docs/reference/command-line.md")]
    preface, *sections = re.split(r"^## ", reference, flags=re.M)
    sections = {re.match("`?([a-z-]*)", section)[1]: section for section in sections}
    everywhere, rows = preface.split("| command | does |")
    found = commands()
    common = set.intersection(*found.values())
    understood = {"--help", "--output"}  # the latter is -o everywhere
    wrong = [option for option in common - understood if option not in everywhere]
    for command, its_options in found.items():
        row = re.search(rf"^\| `{command}[ `].*$", rows, re.M)[0]
        section = sections.get(command, "")
        wanted = {option for option in its_options - common - understood if option[:2] == "--"}
        missing = wanted - documented_options(row + section)
        wrong += [f"{command} {option} is missing" for option in sorted(missing)]
        cells = re.findall(r"^\| ([^|]*)", section, re.M)
        unknown = documented_options(" ".join(cells)) - its_options
        wrong += [f"{command} has no {option}" for option in sorted(unknown)]
    assert wrong == []


def test_links_to_headings_lead_to_headings():
    texts = documents()
    headings = {
        path: {anchor(line) for line in re.findall(r"^#+ (.*)$", text, re.M)}
        for path, text in texts.items()
    }
    broken = []
    for path, text in texts.items():
        for target, heading in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", text):
            page = (REPOSITORY / path.parent / target).resolve() if target else REPOSITORY / path
            if heading not in headings[page.relative_to(REPOSITORY)]:
                broken.append(f"{path}: {target}#{heading}")
    assert broken == []


def test_every_page_can_be_reached_from_the_readme():
    texts = documents()
    reached, queue = set(), [Path("README.md")]
    while queue:
        page = queue.pop()
        if page in reached or page not in texts:
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)#\s:]+)", texts[page]):
            linked = (REPOSITORY / page.parent / target).resolve()
            if linked.is_relative_to(REPOSITORY):
                queue.append(linked.relative_to(REPOSITORY))
    pages = {path for path in texts if path.parts[0] == "docs"}
    assert sorted(map(str, pages - reached)) == []


def test_pictures_are_legible_small_and_shown():
    texts = "\n".join(documents().values())
    for path in tracked_files():
        if path.suffix != ".png" or path.parent != Path("Resources"):
            continue
        assert (REPOSITORY / path).stat().st_size <= PICTURE_BYTES, path
        if path.stem == "SAMI2I":  # the icon
            continue
        assert path.name in texts, path
        with Image.open(REPOSITORY / path) as image:
            assert max(image.size) >= SMALLEST_PICTURE, path
