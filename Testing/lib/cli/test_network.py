"""Nothing goes over the network without the user's click."""

import subprocess
import sys
from pathlib import Path

import pytest

from SAMI2ILib.imaging.io import write_volume

REPOSITORY = Path(__file__).resolve().parents[3]

# An audit hook sees every socket that Python opens or resolves a name for, in any library.
REFUSE_NETWORK = """
import sys
def refuse(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        sys.stderr.write(f"NETWORK: {event} {arguments}\\n")
        raise OSError("the network is not to be used")
sys.addaudithook(refuse)
"""


def run_without_network(code, *arguments, monkeypatch):
    # Telemetry is often silent where CI is set; users have it unset.
    monkeypatch.delenv("CI", raising=False)
    return subprocess.run(
        [sys.executable, "-c", REFUSE_NETWORK + code, *map(str, arguments)],
        cwd=REPOSITORY,
        capture_output=True,
        encoding="utf-8",  # a progress bar is drawn with blocks
        check=False,
    )


def test_translation_uses_no_network(tmp_path, make_head, tiny_model_file, monkeypatch):
    (tmp_path / "in").mkdir()
    write_volume(make_head((3, 16, 16)), tmp_path / "in/head.nii")
    code = (
        "from SAMI2ILib.cli.main import main\n"
        "folder, model = sys.argv[1:]\n"
        "rest = ['-o', folder + '/out', '--model', model, '--debug']\n"
        "codes = [main(['translate', folder + '/in/head.nii', *rest]),\n"
        "         main(['translate-cohort', folder + '/in', *rest]), main(['doctor'])]\n"
        "sys.exit(str(codes))"
    )
    outcome = run_without_network(code, tmp_path, tiny_model_file, monkeypatch=monkeypatch)
    assert "NETWORK" not in outcome.stderr
    assert outcome.stderr.splitlines()[-1] == "[0, 0, 0]", outcome.stderr
    assert (tmp_path / "out/head_synth-T2.nii").is_file()


@pytest.mark.parametrize(
    "attempt",
    [
        "import requests; requests.get('https://example.invalid')",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
    ],
)
def test_the_check_sees_an_attempt(attempt, monkeypatch):
    outcome = run_without_network(attempt, monkeypatch=monkeypatch)
    assert "NETWORK: socket." in outcome.stderr
