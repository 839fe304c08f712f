"""Which changes of a configuration keep a run from going on."""

import json

import pytest

from SAMI2ILib.training.resume import changed_keys, identity_of


@pytest.fixture
def identity(configure):
    def make(**changes):
        return identity_of(configure(**changes), {"datasets": ["a"], "weights": {}})

    return make


def without(identity, part, key):
    """The identity as a version before that option wrote it."""
    table = json.loads(identity)
    place = table["data"][0] if part == "data" else table[part]
    del place[key]
    return json.dumps(table)


def test_changed_options_are_named_where_they_stand(identity):
    before = identity()
    assert changed_keys(before, identity()) == []
    assert changed_keys(before, identity(seed=5)) == ["seed"]
    assert changed_keys(before, identity(decoder={"depth": 2})) == ["decoder.depth"]
    assert changed_keys(before, before.replace('["a"]', '["b"]')) == ["datasets"]


def test_budget_and_machine_do_not_count(identity):
    longer = identity(optimization={"steps": 9, "accumulate": 2}, threads=3)
    assert changed_keys(identity(), longer) == []


@pytest.mark.parametrize(("part", "key"), [("decoder", "detail_levels"), ("data", "exclude")])
def test_option_newer_than_the_checkpoint_was_at_its_default_then(identity, part, key):
    now = identity()
    assert changed_keys(without(now, part, key), now) == []


def test_newer_option_that_is_not_at_its_default_is_a_change(identity):
    now = identity(decoder={"detail_levels": 2})
    assert changed_keys(without(now, "decoder", "detail_levels"), now) == ["decoder.detail_levels"]


def test_option_that_is_gone_and_new_weights_are_changes(identity):
    now = identity()
    assert changed_keys(now, without(now, "decoder", "depth")) == ["decoder.depth"]
    weights = now.replace('"weights": {}', '"weights": {"encoder": "0"}')
    assert changed_keys(now, weights) == ["weights.encoder"]
