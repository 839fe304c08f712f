"""Downloads against a server that cuts, lies, redirects, changes its file, stalls and refuses."""

import hashlib
import shutil
from types import SimpleNamespace

import pytest

from SAMI2ILib.errors import CancelledError, InputError, NetworkError, OutputError
from SAMI2ILib.weights.download import CHUNK_BYTES, download
from SAMI2ILib.weights.network_errors import describe_status
from Testing.lib.files import names_in

SIZE = 102_400
KEPT = 2 * CHUNK_BYTES


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def cut_once(server, target):
    """Leave an unfinished download behind: two whole chunks."""
    server.cut_after = 40_000
    with pytest.raises(NetworkError, match="cut"):
        download(server.url(), target)
    server.cut_after = None
    assert target.with_name("file.bin.part").stat().st_size == KEPT


def test_download_writes_the_file_and_returns_its_hash(server, target):
    assert download(server.url(), target) == sha256(server.content)
    assert target.read_bytes() == server.content
    assert names_in(target.parent) == ["file.bin"]


def test_download_accepts_the_expected_hash_in_capitals(server, target):
    download(server.url(), target, sha256=sha256(server.content).upper())
    assert target.read_bytes() == server.content


def test_download_refuses_another_file_and_keeps_nothing_of_it(server, target):
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(NetworkError, match="sent another file than expected") as caught:
        download(server.url(), target, sha256="0" * 64)
    assert sha256(server.content) in caught.value.message
    assert target.read_bytes() == b"old"
    assert names_in(target.parent) == ["file.bin"]


def test_download_reports_progress_up_to_the_whole_size(server, target):
    server.content = bytes(600_000)
    seen = []
    download(server.url(), target, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (600_000, 600_000)
    assert [done for done, _total in seen] == sorted({done for done, _total in seen})


@pytest.mark.fault("download-interrupted")
def test_download_says_that_it_was_cut_and_keeps_what_arrived(server, target):
    server.cut_after = 40_000
    with pytest.raises(NetworkError, match=f"was cut; {KEPT} bytes are kept") as caught:
        download(server.url(), target)
    assert "continues where it stopped" in caught.value.hint
    assert not target.exists()


@pytest.mark.fault("download-interrupted")
def test_download_continues_where_it_was_cut(server, target):
    cut_once(server, target)
    seen = []
    download(server.url(), target, on_progress=lambda done, total: seen.append((done, total)))
    assert server.requests[1]["range"] == f"bytes={KEPT}-"
    assert server.requests[1]["if-range"] == '"one"'
    assert target.read_bytes() == server.content
    assert seen[0] == (3 * CHUNK_BYTES, SIZE)
    assert seen[-1] == (SIZE, SIZE)
    assert names_in(target.parent) == ["file.bin"]


@pytest.mark.fault("download-interrupted")
def test_download_survives_being_cut_many_times(server, target):
    for _time in range(3):
        server.cut_after = 20_000
        with pytest.raises(NetworkError, match="cut"):
            download(server.url(), target)
    server.cut_after = None
    assert download(server.url(), target) == sha256(server.content)
    assert [request.get("range") for request in server.requests] == [
        None,
        f"bytes={CHUNK_BYTES}-",
        f"bytes={2 * CHUNK_BYTES}-",
        f"bytes={3 * CHUNK_BYTES}-",
    ]


def test_download_says_how_much_of_a_range_arrived_when_no_length_was_sent(server, target):
    cut_once(server, target)
    server.promised, server.cut_after = -1, CHUNK_BYTES
    with pytest.raises(NetworkError, match=f"was cut: {3 * CHUNK_BYTES} of {SIZE} bytes arrived"):
        download(server.url(), target)
    server.promised, server.cut_after = None, None
    assert download(server.url(), target) == sha256(server.content)


@pytest.mark.fault("download-interrupted")
def test_download_starts_over_when_the_file_changed_in_between(server, target):
    cut_once(server, target)
    server.content, server.etag = b"new" * 30_000, '"two"'
    download(server.url(), target)
    assert target.read_bytes() == b"new" * 30_000


def test_download_starts_over_when_a_server_continues_with_another_file(server, target):
    cut_once(server, target)
    server.content, server.etag, server.ignores_if_range = b"new" * 30_000, '"two"', True
    download(server.url(), target)
    assert target.read_bytes() == b"new" * 30_000


def test_download_starts_over_when_the_server_ignores_the_range(server, target):
    cut_once(server, target)
    server.ignores_range = True
    download(server.url(), target)
    assert target.read_bytes() == server.content


def test_download_starts_over_when_the_server_continues_elsewhere(server, target):
    cut_once(server, target)
    server.continues_at = 17
    download(server.url(), target)
    assert target.read_bytes() == server.content


def test_download_starts_over_when_the_file_became_shorter(server, target):
    cut_once(server, target)
    server.content, server.ignores_if_range = b"short", True
    download(server.url(), target)
    assert target.read_bytes() == b"short"


def test_download_starts_over_when_nothing_identifies_the_version(server, target):
    server.etag = ""
    cut_once(server, target)
    download(server.url(), target)
    assert "range" not in server.requests[1]
    assert target.read_bytes() == server.content


def test_download_starts_over_when_the_tag_is_weak(server, target):
    server.etag = 'W/"one"'
    cut_once(server, target)
    download(server.url(), target)
    assert "range" not in server.requests[1]


def test_download_starts_over_when_the_part_is_of_another_address(server, target):
    cut_once(server, target)
    download(server.url("other.bin"), target)
    assert "range" not in server.requests[1]
    assert target.read_bytes() == server.content


@pytest.mark.parametrize("note", [b"{", b"[]", b'{"url": 1}', b"\xff"])
def test_download_starts_over_when_the_note_is_damaged(server, target, note):
    cut_once(server, target)
    target.with_name("file.bin.part.json").write_bytes(note)
    download(server.url(), target)
    assert target.read_bytes() == server.content


def test_download_finishes_a_part_that_is_whole(server, target):
    cut_once(server, target)
    target.with_name("file.bin.part").write_bytes(server.content)
    assert download(server.url(), target) == sha256(server.content)
    assert target.read_bytes() == server.content


def test_download_calls_a_promise_of_more_bytes_a_cut(server, target):
    server.promised = 2 * SIZE
    with pytest.raises(NetworkError, match="cut"):
        download(server.url(), target)
    assert not target.exists()


def test_download_finds_a_promise_of_fewer_bytes_by_the_hash(server, target):
    server.promised = 5000
    with pytest.raises(NetworkError, match="another file than expected"):
        download(server.url(), target, sha256=sha256(server.content))
    assert not target.exists()


def test_download_refuses_more_bytes_than_the_range_promised(server, target):
    cut_once(server, target)
    server.promised = -1  # no length, so only the range says how much should come
    server.content = _Longer(server.content[:40_000], server.content[KEPT:])
    with pytest.raises(NetworkError, match="sent 102400 bytes but promised 40000"):
        download(server.url(), target)
    assert names_in(target.parent) == []


class _Longer(bytes):
    """Content whose tail is longer than its length says."""

    def __new__(cls, content, tail):
        made = super().__new__(cls, content)
        made.tail = tail
        return made

    def __getitem__(self, _slice):
        return self.tail


def test_download_works_without_a_length(server, target):
    server.promised = -1
    totals = []
    download(server.url(), target, on_progress=lambda _done, total: totals.append(total))
    assert target.read_bytes() == server.content
    assert set(totals) == {None}


def test_download_refuses_an_address_without_tls(target):
    with pytest.raises(InputError, match="must start with https://"):
        download("http://localhost/file.bin", target)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "https://", "model", "https://[::1"])
def test_download_refuses_what_is_no_web_address(target, url):
    with pytest.raises(InputError, match="must start with https://"):
        download(url, target)


def test_download_does_not_follow_a_redirect_to_plain_http(server, target):
    server.location = "http://127.0.0.1:1/file.bin"
    with pytest.raises(NetworkError, match="redirects to an address that is not https"):
        download(server.url(), target)
    assert not target.exists()


def test_download_follows_a_redirect_within_https(server, target):
    server.location = server.url("there.bin")
    answered = server.requests

    class Once(list):
        def append(self, request):
            super().append(request)
            if len(self) == 2:
                server.location = ""

    server.requests = Once(answered)
    download(server.url(), target)
    assert target.read_bytes() == server.content


def test_download_stops_after_too_many_redirects(server, target):
    server.location = "/again"
    with pytest.raises(NetworkError, match="redirects more than 5 times"):
        download(server.url(), target)
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (403, "was refused"),
        (404, "There is no file at"),
        (429, "cannot send"),
        (500, "cannot send"),
        (418, "answered with HTTP 418"),
        (416, "answered with HTTP 416"),
    ],
)
def test_download_says_what_the_server_answered(server, target, status, sentence):
    server.status = status
    with pytest.raises(NetworkError, match=sentence) as caught:
        download(server.url("file.bin?key=secret"), target)
    assert "secret" not in str(caught.value)


def test_status_407_is_the_proxys(tmp_path):
    assert "proxy" in describe_status(407, "there").message


def test_download_refuses_a_compressed_file(server, target):
    server.encoding = "gzip"
    with pytest.raises(NetworkError, match=r"compressed \(gzip\)"):
        download(server.url(), target)


@pytest.mark.fault("download-interrupted")
def test_download_says_that_the_server_stopped_sending(server, target):
    server.cut_after, server.stalls = 40_000, True
    with pytest.raises(NetworkError, match=f"stopped sending; {KEPT} bytes are kept"):
        download(server.url(), target, timeout_seconds=0.3)


@pytest.mark.fault("download-interrupted")
def test_download_stops_when_cancelled_and_continues_later(server, target):
    server.content = bytes(600_000)
    with pytest.raises(CancelledError, match="cancelled"):
        download(server.url(), target, is_cancelled=lambda: True)
    assert not target.exists()
    download(server.url(), target)
    assert "range" in server.requests[1]
    assert target.read_bytes() == server.content


@pytest.mark.fault("disk-full")
def test_download_refuses_before_the_first_byte_when_the_disk_is_small(server, target, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=10**6))
    with pytest.raises(OutputError, match="has 1 MB free; the download needs 67 MB"):
        download(server.url(), target)
    assert not target.with_name("file.bin.part").exists()


def test_download_refuses_a_promise_beyond_any_model(server, target):
    server.promised = 9 * 2**30
    with pytest.raises(NetworkError, match="larger than 8589934592 bytes"):
        download(server.url(), target)


def test_download_stops_a_server_that_never_ends(server, target, monkeypatch):
    monkeypatch.setattr("SAMI2ILib.weights.download.MAX_BYTES", 5000)
    server.promised = -1
    with pytest.raises(NetworkError, match="larger than 5000 bytes"):
        download(server.url(), target)


def test_download_says_that_the_folder_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"):
        download(server.url(), tmp_path / "file" / "file.bin")


def test_download_says_that_the_destination_is_a_folder(server, target):
    (target / "inside").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot be written"):
        download(server.url(), target)
