"""The entry point: start-up, usage errors, internal errors."""

import argparse
import os
import subprocess
import sys

import pytest

from SAMI2ILib.cli import main as main_module
from SAMI2ILib.cli.console import JsonConsole, SilentConsole, TextConsole, open_console
from SAMI2ILib.errors import Sami2iError


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_package_pulls_in_nothing_heavy():
    heavy = "{'torch', 'numpy', 'SimpleITK', 'scipy'}"
    result = run_python(f"import sys, SAMI2ILib; print(sorted({heavy} & set(sys.modules)))")
    assert result.stdout.strip() == "[]", result.stderr


def test_help_pulls_in_nothing_heavy():
    heavy = "{'torch', 'SimpleITK', 'scipy', 'skimage', 'matplotlib', 'requests', 'sam2'}"
    result = run_python(
        "import sys\nfrom SAMI2ILib.cli.main import main\n"
        f"code = main(['--help'])\nprint(code, sorted({heavy} & set(sys.modules)))"
    )
    assert result.stdout.strip().endswith("0 []"), result.stdout + result.stderr


@pytest.mark.parametrize("command", main_module.COMMANDS)
def test_every_command_has_help(sami2i, command):
    outcome = sami2i(command, "--help")
    assert outcome.code == 0
    assert f"sami2i {command}" in outcome.out


def test_nested_command_says_what_it_does(sami2i):
    outcome = sami2i("models", "add", "--help")
    assert outcome.code == 0
    assert "\nCheck a file and copy it into the store.\n" in outcome.out


def parsers(parser):
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for nested in action.choices.values():
                yield from parsers(nested)


def test_every_command_and_every_option_is_explained():
    for parser in parsers(main_module._make_parser()):
        assert parser.description, parser.prog
        actions = [a for a in parser._actions if not isinstance(a, argparse._SubParsersAction)]
        assert [a.dest for a in actions if not a.help] == [], parser.prog


def test_version_is_printed(sami2i):
    outcome = sami2i("--version")
    assert (outcome.code, outcome.out.split()[0]) == (0, "sami2i")


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["translate"], ["translate", "x", "-o", "y", "--batch-size", "0"]],
)
def test_wrong_usage_is_code_2(sami2i, arguments):
    outcome = sami2i(*arguments)
    assert outcome.code == 2
    assert "usage: sami2i" in outcome.err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, "Cancelled."),
        (MemoryError(), 4, "Memory ran out."),
        (OSError(28, "No space left on device"), 1, "The disk is full"),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            3,
            "The Python package 'torch' is not installed.",
        ),
        (ZeroDivisionError("by zero"), 1, "Internal error: ZeroDivisionError: by zero."),
    ],
)
def test_unexpected_errors_become_one_line_and_a_code(sami2i, monkeypatch, error, code, text):
    def fail(_args, _console):
        raise error

    monkeypatch.setattr("SAMI2ILib.cli.doctor.run", fail)
    outcome = sami2i("doctor")
    assert outcome.code == code
    assert outcome.err.startswith(f"sami2i: error: {text}")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "kind"), [("text", TextConsole), ("json", JsonConsole), ("none", SilentConsole)]
)
def test_console_follows_the_progress_option(name, kind):
    assert type(open_console(name)) is kind


def test_without_words_the_commands_are_listed(sami2i):
    outcome = sami2i()
    assert (outcome.code, outcome.out) == (2, "")
    assert [command for command in main_module.COMMANDS if command not in outcome.err] == []


def test_text_console_draws_no_bar_into_a_log(capsys):
    console = TextConsole()
    console.progress("translate", 1, 2)
    console.progress("translate", 2, 2)
    console.close()
    assert capsys.readouterr() == ("", "")


def test_text_console_draws_progress_on_stderr_only(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    console = TextConsole()
    console.progress("translate", 1, 2)
    console.progress("translate", 2, 2)
    console.progress("write", 0, 1)
    console.warn("few-slices", "The input has 3 slices.")
    console.say("done")
    captured = capsys.readouterr()
    assert captured.out == "done\n"
    assert "translate" in captured.err
    assert "warning (few-slices): The input has 3 slices." in captured.err


@pytest.mark.parametrize(
    ("arguments", "code", "kinds"),
    [
        (["models", "list"], 0, ["start", "result"]),
        (["models", "remove", "none"], 3, ["start", "error"]),
        (["translate", "none.nii", "-o", "out.nii"], 2, ["start", "error"]),
    ],
)
def test_json_begins_with_start_also_where_no_device_is_chosen(sami2i, arguments, code, kinds):
    outcome = sami2i(*arguments, "--progress", "json")
    assert (outcome.code, [event["event"] for event in outcome.events]) == (code, kinds)
    start = outcome.events[0]
    assert (start["protocol"], start["device"]) == (1, None)
    assert "no device" in start["reason"]


def test_json_names_the_device_once_where_it_is_known_from_the_start(capsys):
    console = JsonConsole()
    console.start("CPU", "it was asked for")
    console.progress("read", 0, 1)
    assert [line.split('"')[3] for line in capsys.readouterr().out.splitlines()] == [
        "start",
        "progress",
    ]


def test_error_with_line_breaks_is_one_line(capsys):
    TextConsole().error(Sami2iError("first\nsecond", "hint"))
    assert capsys.readouterr().err == "sami2i: error: first second hint\n"


def test_name_of_a_file_cannot_command_the_terminal_or_forge_a_line(capsys):
    name = "a\nsami2i: error: b\x1b[2J\x9b2J\u202egpj.nii"
    console = TextConsole()
    console.warn("few-slices", f"{name}: The input has 3 slices.")
    console.note(f"  Käthe 頭\u00a01.nii\t{name}")
    console.say(name)
    console.error(Sami2iError(name))
    captured = capsys.readouterr()
    spelled = r"sami2i: error: b\x1b[2J\x9b2J\u202egpj.nii"
    assert captured.out == f"a\n{spelled}\n"
    assert captured.err.splitlines() == [
        f"warning (few-slices): a {spelled}: The input has 3 slices.",
        f"  Käthe 頭\u00a01.nii\ta {spelled}",
        f"sami2i: error: a {spelled}",
    ]


def test_console_without_stderr_goes_on(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    SilentConsole().warn("code", "nobody listens")


def test_letters_that_stdout_cannot_show_are_escaped():
    code = (
        "import sys\nfrom SAMI2ILib.cli import main\n"
        "def run(args, console):\n    console.say('頭.nii')\n    return 0\n"
        "import SAMI2ILib.cli.doctor as doctor\ndoctor.run = run\n"
        "sys.exit(main.main(['doctor']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (result.returncode, result.stdout.split()) == (0, [rb"\u982d.nii"]), result.stderr
