"""The recipe is checked key by key; an error names the key."""

import pytest

from SAMI2ILib.errors import InputError, MissingError
from SAMI2ILib.training.config import parse_config, read_config, with_folders
from SAMI2ILib.training.networks import build_network
from SAMI2ILib.training.selection import select_subjects


def test_recipe_is_read_with_its_defaults(recipe):
    config = parse_config(recipe)
    assert (config.name, config.source, config.targets) == ("trial", "T1", ("T2", "PD"))
    assert config.optimization.learning_rate == 1e-3
    assert config.augmentation.flip == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": "x"}, "unknown key 'nmae'"),
        ({"name": "Not An Id"}, "'name' in the configuration must be lower case"),
        ({"targets": []}, "'targets' in the configuration"),
        ({"targets": ["T1"]}, "'targets' in the configuration"),
        ({"source": "CT"}, "'source' in the configuration"),
        ({"seed": -1}, "'seed' in the configuration"),
        ({"seed": "one"}, "'seed' in the configuration must be a value of type int"),
        ({"data": []}, "'data' in the configuration"),
        ({"data": "folder"}, "'data' in the configuration must be a list"),
        ({"data": ["folder"]}, r"'data\[0\]' in the configuration must be a table"),
        ({"data": [{"name": "a", "weight": 0}]}, "'data.weight'"),
        ({"data": [{"weight": 1}]}, r"lacks a required key: one of name.* in data\[0\]"),
        ({"optimization": {"steps": 0}}, "'optimization.steps'"),
        ({"optimization": {"steps": 5, "minutes": 5}}, "'optimization.steps'"),
        ({"optimization": {"steps": 5, "crop": 96}}, "'optimization.crop'.*multiple of 64"),
        ({"optimization": {"steps": 5, "batch": 0}}, "'optimization.batch'"),
        ({"optimization": {"steps": 5, "ema": 1.0}}, "'optimization.ema'"),
        ({"augmentation": {"flip": 2.0}}, "'augmentation.flip'"),
        ({"optimization": {"steps": 5, "ssim": -1.0}}, "'optimization.ssim'"),
        ({"context_slices": 2}, "'context_slices'.*1 or 3"),
        ({"decoder": {"windows": [8, 4]}}, "'decoder.windows'"),
    ],
)
def test_wrong_recipe_names_the_key(recipe, change, message):
    with pytest.raises(InputError, match=message):
        parse_config(recipe | change)


def test_shipped_recipes_are_valid(request):
    folder = request.config.rootpath / "docs/reference/recipes"
    stages = [read_config(path) for path in sorted(folder.glob("*.toml"))]
    assert stages
    for stage in stages:
        build_network(stage)
        tests_only = {"tumor-aurora", "healthy-chris", "template-avg152"}
        assert tests_only.isdisjoint(stage.data[2].only)


def test_recipe_that_is_no_toml_is_refused(tmp_path):
    (tmp_path / "x.toml").write_text("name = ")
    with pytest.raises(InputError, match=r"x\.toml"):
        read_config(tmp_path / "x.toml")


def test_missing_recipe_is_refused(tmp_path):
    with pytest.raises((InputError, MissingError), match=r"no\.toml"):
        read_config(tmp_path / "no.toml")


def test_folders_belong_to_the_sources_of_the_recipe(recipe, cohort):
    config = parse_config(recipe)
    assert with_folders(config, {"phantoms": str(cohort)}).data[0].folder == str(cohort)
    with pytest.raises(InputError, match="no data source 'others'"):
        with_folders(config, {"others": str(cohort)})
    with pytest.raises(InputError, match="'phantoms' has no folder"):
        with_folders(config, {})


def chosen(recipe, cohort, **changes):
    data = [{"name": "phantoms", "folder": str(cohort), **changes.pop("data", {})}]
    return select_subjects(parse_config(recipe | {"data": data} | changes))


def test_validation_subjects_are_never_trained_on(recipe, cohort):
    selection = chosen(recipe, cohort, validation=["bert"])
    assert [s.name for s in selection.training[0]] == ["anna"]
    assert [s.name for s in selection.validation] == ["bert"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"only": ["carl"]}}, "'only' names carl"),
        ({"data": {"exclude": ["anna", "bert"]}}, "no subject to train on"),
        ({"validation": ["dora"]}, "'validation' names dora"),
        ({"data": {"only": ["bert"]}}, "PD"),
        ({"source": "PD", "targets": ["T2"]}, "'bert' has no PD"),
    ],
)
def test_impossible_choice_of_subjects_is_refused(recipe, cohort, changes, message):
    with pytest.raises(InputError, match=message):
        chosen(recipe, cohort, **changes)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({"variant": "huge"}, "'huge', which is no trunk"),
        ({"frozen": True}, "no 'encoder.checkpoint'"),
    ],
)
def test_impossible_encoder_is_refused(recipe, encoder, message):
    with pytest.raises(InputError, match=message):
        build_network(parse_config(recipe | {"encoder": encoder}))
