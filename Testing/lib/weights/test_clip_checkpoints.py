"""CLIP's weights come from a file, a cache, or a download that was asked for."""

import open_clip
import pytest

from SAMI2ILib.errors import MissingError, NetworkError
from SAMI2ILib.models.clip import ClipConfig
from SAMI2ILib.weights.clip_checkpoints import clip_checkpoint

OPENAI = ClipConfig("ViT-B-32", "openai")


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """Answer for the cache of `open_clip`; the tests fill it."""
    files = {}
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda name, file: files.get((name, file))
    )
    return files


def test_named_file_wins(tmp_path):
    (tmp_path / "clip.pt").touch()
    assert clip_checkpoint(OPENAI, str(tmp_path / "clip.pt")) == tmp_path / "clip.pt"
    with pytest.raises(MissingError, match=r"no CLIP checkpoint .*none\.pt"):
        clip_checkpoint(OPENAI, str(tmp_path / "none.pt"))


def test_cached_file_is_found(cache, tmp_path):
    path = tmp_path / "open_clip_model.safetensors"
    path.touch()
    cache["timm/vit_base_patch32_clip_224.openai", path.name] = str(path)
    assert clip_checkpoint(OPENAI) == path


def test_missing_weights_are_said_with_the_way_out_and_nothing_is_fetched(cache, monkeypatch):
    monkeypatch.setattr(open_clip, "download_pretrained", lambda *_: pytest.fail("a download"))
    with pytest.raises(MissingError, match=r"ViT-B-32 \(openai\) are not on.*--no-adversarial"):
        clip_checkpoint(OPENAI, way_out="Or train with --no-adversarial.")
    with pytest.raises(MissingError, match="are not on this machine"):
        clip_checkpoint(ClipConfig("ViT-B-32", ""), download=True)


def test_older_weights_are_looked_for_where_open_clip_keeps_them(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    config = ClipConfig("ViT-B-16", "laion400m_e31")
    options = open_clip.get_pretrained_cfg(config.model, config.pretrained) | {"hf_hub": ""}
    monkeypatch.setattr("SAMI2ILib.models.clip.pretrained_options", lambda _: options)
    with pytest.raises(MissingError):
        clip_checkpoint(config)
    (tmp_path / ".cache/clip").mkdir(parents=True)
    path = tmp_path / ".cache/clip" / options["url"].rpartition("/")[2]
    path.touch()
    assert clip_checkpoint(config) == path


def test_download_goes_through_open_clip_when_asked_for(cache, monkeypatch, tmp_path):
    monkeypatch.setattr(open_clip, "download_pretrained", lambda _: str(tmp_path / "x"))
    assert clip_checkpoint(OPENAI, download=True) == tmp_path / "x"

    def fail(_options):
        raise OSError("no route")

    monkeypatch.setattr(open_clip, "download_pretrained", fail)
    with pytest.raises(NetworkError, match="could not be downloaded: no route"):
        clip_checkpoint(OPENAI, download=True)
