"""What the user sees of pip."""

from SAMI2IPanel.pip_log import PipLog


def test_progress_is_shown_in_ten_steps():
    seen = []
    log = PipLog(seen.append)
    log("Downloading torch.whl (900 MB)")
    for megabyte in range(901):
        log(f"Progress {megabyte * 10**6} of {900 * 10**6}")
    assert len(seen) == 12
    assert seen[0] == "Downloading torch.whl (900 MB)"
    assert seen[1].split() == ["0", "of", "900", "MB"]
    assert seen[-1].split() == ["900", "of", "900", "MB"]


def test_progress_of_a_small_file_and_empty_lines_are_left_out():
    seen = []
    log = PipLog(seen.append)
    for line in ("Progress 10 of 4000000", "Progress 0 of 0", "", "  "):
        log(line)
    assert seen == []


def test_every_download_starts_its_own_steps():
    seen = []
    log = PipLog(seen.append)
    for name in ("a", "b"):
        log(f"Downloading {name}")
        log("Progress 10000000 of 10000000")
    assert [line.split()[0] for line in seen] == ["Downloading", "10", "Downloading", "10"]


def test_reason_is_the_last_complaint_else_the_last_line():
    log = PipLog(lambda _line: None)
    assert log.reason() == "it said nothing."
    log("Collecting torch")
    assert log.reason() == "Collecting torch"
    log("ERROR: no network")
    log("Cleaning up")
    assert log.reason() == "ERROR: no network"
