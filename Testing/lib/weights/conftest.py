"""Model files of a few bytes, and a TLS server on this machine that can misbehave."""

import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.weights import EncoderSpec, ModelSpec, Store, write_encoder, write_model

TLS = Path(__file__).parent / "tls"


@pytest.fixture
def make_spec() -> Callable[..., ModelSpec]:
    def make(**changes: object) -> ModelSpec:
        fields = {
            "family": "sam-i2i",
            "id": "mine-t1-t2",
            "title": "Mine",
            "source_contrast": "T1",
            "target_contrast": "T2",
            "license": "Apache-2.0",
        }
        return ModelSpec(**{**fields, **changes})

    return make


@pytest.fixture
def make_model(tmp_path: Path, make_spec: Callable[..., ModelSpec]) -> Callable[..., Path]:
    """Write a model file outside of any store; `value` makes its content differ."""

    def make(value: float = 1.0, folder: Path | None = None, **changes: object) -> Path:
        spec = make_spec(**changes)
        path = (folder or tmp_path / "files") / f"{spec.id}.safetensors"
        write_model(path, spec, {"decoder.weight": np.full((2, 3), value, np.float16)})
        return path

    return make


@pytest.fixture
def make_encoder(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "shared", value: float = 1.0, folder: Path | None = None) -> Path:
        spec = EncoderSpec(
            id=name, title="Shared", hiera={"embed_dim": 8, "stages": [1, 1, 1, 1]}, license="MIT"
        )
        path = (folder or tmp_path / "files") / f"{name}.safetensors"
        write_encoder(path, spec, {"blocks.0.weight": np.full(4, value, np.float16)})
        return path

    return make


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Write a file in the layout of an official SAM2 checkpoint, with almost no weights."""

    def make(
        name: str = "sam2.1_hiera_tiny",
        *,
        embed_dim: int = 96,
        blocks: int = 12,
        value: float = 0.0,
        folder: Path | None = None,
    ) -> Path:
        import torch

        trunk = "image_encoder.trunk."
        weights = {
            f"{trunk}blocks.{n}.norm1.weight": torch.full((1,), value) for n in range(blocks)
        }
        weights[f"{trunk}patch_embed.proj.weight"] = torch.zeros(embed_dim, 1)
        path = (folder or tmp_path / "files") / f"{name}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"model": weights}, path)
        return path

    return make


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    """An empty folder in the place of the models that come with the software."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path, bundled: Path) -> Store:
    return Store(tmp_path / "user" / "models", bundled)


class FileServer(http.server.ThreadingHTTPServer):
    """Serves `content` at every path; the attributes switch its faults on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "server.pem")
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self.content = bytes(range(256)) * 400
        self.etag = '"one"'
        self.status = 200
        self.location = ""
        self.cut_after: int | None = None
        self.promised: int | None = None
        self.ignores_range = False
        self.ignores_if_range = False
        self.continues_at: int | None = None
        self.stalls = False
        self.encoding = ""
        self.released = threading.Event()
        self.requests: list[dict[str, str]] = []

    def url(self, name: str = "file.bin") -> str:
        return f"https://127.0.0.1:{self.server_address[1]}/{name}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        server = self.server
        server.requests.append({name.lower(): value for name, value in self.headers.items()})
        if server.location:
            self._send(302, [("Location", server.location), ("Content-Length", "0")], b"")
            return
        if server.status != 200:
            self._send(server.status, [("Content-Length", "0")], b"")
            return
        self._send_content()

    def _send_content(self) -> None:
        server, total = self.server, len(self.server.content)
        start = self._start()
        if start >= total > 0 and start:
            self._send(416, [("Content-Range", f"bytes */{total}")], b"")
            return
        body = server.content[start:]
        promised = len(body) if server.promised is None else server.promised
        headers = [("Content-Length", str(promised))] if promised >= 0 else []
        headers += [("ETag", server.etag)] if server.etag else []
        headers += [("Content-Encoding", server.encoding)] if server.encoding else []
        if start:
            shown = start if server.continues_at is None else server.continues_at
            headers.append(("Content-Range", f"bytes {shown}-{total - 1}/{total}"))
        self._send(206 if start else 200, headers, body)

    def _start(self) -> int:
        wanted = self.headers.get("Range", "")
        if not wanted or self.server.ignores_range:
            return 0
        changed = self.headers.get("If-Range") not in (None, self.server.etag)
        if changed and not self.server.ignores_if_range:
            return 0
        return int(wanted.removeprefix("bytes=").rstrip("-"))

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: self.server.cut_after])
        self.wfile.flush()
        if self.server.stalls:
            self.server.released.wait(20)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A running `FileServer` whose certificate is trusted through the environment, as a user's."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(TLS / "authority.pem"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = FileServer()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield running
    running.released.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where downloads go; its folder is not there yet."""
    return tmp_path / "new folder" / "file.bin"


@pytest.fixture
def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
