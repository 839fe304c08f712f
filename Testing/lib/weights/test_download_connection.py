"""What a download says when there is no connection: names, proxies, certificates, silence."""

import socket
import threading
from types import SimpleNamespace

import pytest
import requests

from SAMI2ILib.errors import NetworkError
from SAMI2ILib.weights.download import download


def test_download_says_that_nobody_answers_in_time(target, monkeypatch):
    def time_out(*_args, **_kwargs):
        raise requests.exceptions.ConnectTimeout("slow")

    monkeypatch.setattr(requests.Session, "get", time_out)
    with pytest.raises(NetworkError, match=r"example\.org did not answer in time"):
        download("https://example.org/file.bin", target)


def test_download_says_that_the_server_cannot_be_reached(server, target, closed_port):
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1 could not be reached") as caught:
        download(f"https://127.0.0.1:{closed_port}/file.bin", target)
    assert "models add FILE" in caught.value.hint


def test_download_says_that_the_name_is_unknown(target, monkeypatch):
    def fail(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NetworkError, match=r"The name nowhere\.invalid could not be resolved"):
        download("https://nowhere.invalid/file.bin", target)


def test_download_says_that_the_certificate_is_not_trusted(server, target, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with pytest.raises(NetworkError, match=r"certificate of 127\.0\.0\.1 could not be verified"):
        download(server.url(), target)


@pytest.fixture
def proxy(monkeypatch):
    """A proxy that refuses every connection with the line in `answer`."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.02)
    stopped = threading.Event()
    state = SimpleNamespace(answer=b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    def refuse():
        while not stopped.is_set():
            try:
                connection, _address = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                connection.recv(4096)
                connection.sendall(state.answer)

    thread = threading.Thread(target=refuse)
    thread.start()
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
    yield state
    stopped.set()
    thread.join()
    listener.close()


def test_download_says_that_the_proxy_wants_a_password(proxy, target):
    with pytest.raises(NetworkError, match="The proxy wants a password"):
        download("https://example.org/file.bin", target)


def test_download_says_that_the_proxy_does_not_work(proxy, target):
    proxy.answer = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"
    with pytest.raises(NetworkError, match=r"The proxy on the way to example\.org"):
        download("https://example.org/file.bin", target)


def test_download_passes_on_a_failure_without_a_name(target, monkeypatch):
    def fail(*_args, **_kwargs):
        raise requests.exceptions.InvalidHeader("odd")

    monkeypatch.setattr(requests.Session, "get", fail)
    with pytest.raises(NetworkError, match=r"The request to example\.org failed \(odd\)"):
        download("https://example.org/file.bin", target)
