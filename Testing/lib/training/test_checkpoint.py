"""A checkpoint appears whole, the one before it stays, and a kill in between loses neither."""

import pytest
import torch

from SAMI2ILib.errors import InputError
from SAMI2ILib.training.checkpoint import (
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)


def value(folder):
    content, notice = load_checkpoint(folder)
    return content["value"].item(), notice


def save(folder, number):
    save_checkpoint({"value": torch.tensor(number)}, folder)


def test_newest_is_read_and_the_one_before_is_kept(tmp_path):
    assert load_checkpoint(tmp_path) == (None, "")
    for number in (1, 2, 3):
        save(tmp_path, number)
    assert value(tmp_path) == (3, "")
    assert read_checkpoint(tmp_path / "checkpoint-before.pt")["value"] == 2


@pytest.mark.fault("child-killed")
def test_kill_between_the_two_renames_leaves_the_one_before(tmp_path):
    for number in (1, 2):
        save(tmp_path, number)
    (tmp_path / "checkpoint.pt").replace(tmp_path / "checkpoint-before.pt")
    assert value(tmp_path) == (2, "")


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_damaged_newest_gives_way_to_the_one_before(tmp_path, damage):
    for number in (1, 2):
        save(tmp_path, number)
    path = tmp_path / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    place = content.index((2).to_bytes(8, "little"))
    content[place] = 7
    path.write_bytes({"cut": content[:-40], "changed": content, "empty": b""}[damage])
    number, notice = value(tmp_path)
    assert number == 1
    assert "checkpoint.pt is damaged. The run goes on from the one before it." in notice


def test_failed_write_leaves_the_old_one(tmp_path):
    save(tmp_path, 1)
    with pytest.raises(Exception, match=r"pickle|local object"):
        save_checkpoint({"value": lambda: None}, tmp_path)
    assert value(tmp_path) == (1, "")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_checkpoint_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match="There is no checkpoint"):
        read_checkpoint(tmp_path / "best.pt")
