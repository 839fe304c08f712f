"""The recipe is checked key by key; an error names the key."""

from dataclasses import fields

import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.training.config import (
    Augmentation,
    BaselineOptions,
    DataSource,
    DecoderOptions,
    DiscriminatorConfig,
    EncoderConfig,
    Optimization,
    TrainingConfig,
)
from SAMI2ILib.training.config_file import (
    parse_config,
    read_table,
    with_assignments,
    with_folders,
)
from SAMI2ILib.training.networks import build_network
from SAMI2ILib.training.recipes import RECIPES
from SAMI2ILib.training.starting_weights import StartingWeights


def test_recipe_is_read_with_its_defaults(recipe):
    config = parse_config(recipe)
    assert (config.name, config.source, config.targets) == ("trial", "T1", ("T2", "PD"))
    assert config.optimization.learning_rate == 1e-3
    assert config.augmentation.flip == 0.5
    assert config.encoder.hiera.embed_dim == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": "x"}, "unknown key 'nmae'"),
        ({"name": "Not An Id"}, "'name' in the configuration must be lower case"),
        ({"targets": []}, "'targets' in the configuration"),
        ({"targets": ["T1"]}, "'targets' in the configuration"),
        ({"source": "T1 FLAIR"}, "'source' in the configuration must be a contrast"),
        ({"seed": -1}, "'seed' in the configuration"),
        ({"seed": "one"}, "'seed' in the configuration must be a value of type int"),
        ({"train_parts": ["everyone"]}, "'train_parts' in the configuration"),
        ({"data": []}, "'data' in the configuration"),
        ({"data": "folder"}, "'data' in the configuration must be a list"),
        ({"data": ["folder"]}, r"'data\[0\]' in the configuration must be a table"),
        ({"data": [{"name": "a", "weight": 0}]}, "'data.weight'"),
        ({"data": [{"weight": 1}]}, r"lacks a required key: one of name.* in data\[0\]"),
        ({"optimization": {"steps": 0}}, "'optimization.steps'.*one of epochs, minutes, cpu_min"),
        ({"optimization": {"steps": -1}}, "'optimization.steps'.*above zero"),
        ({"optimization": {"steps": 5, "minutes": 5}}, "only budget.*there are steps and minutes"),
        ({"optimization": {"minutes": 5, "cpu_minutes": 5}}, "there are minutes and cpu_minutes"),
        ({"optimization": {"cpu_minutes": 5}, "workers": 1}, "'workers'.*0 with a budget in cpu"),
        ({"optimization": {"steps": 5, "crop": 96}}, "'optimization.crop'.*multiple of 64"),
        ({"optimization": {"steps": 5, "batch": 0}}, "'optimization.batch'"),
        ({"optimization": {"steps": 5, "ema": 1.0}}, "'optimization.ema'"),
        ({"optimization": {"steps": 5, "batch": 2, "accumulate": 3}}, "'optimization.accumulate'"),
        ({"optimization": {"steps": 5, "schedule": "step"}}, "one of cosine, constant, linear"),
        ({"optimization": {"steps": 5, "betas": [0.9]}}, "'optimization.betas'"),
        ({"optimization": {"steps": 5, "l1": 0.0}}, "'optimization.l1'"),
        ({"optimization": {"steps": 5, "region": "brain"}}, "one of foreground, image"),
        ({"augmentation": {"flip": 2.0}}, "'augmentation.flip'"),
        ({"optimization": {"steps": 5, "ssim": -1.0}}, "'optimization.ssim'"),
        ({"context_slices": 2}, "'context_slices'.*1 or 3"),
        ({"decoder": {"windows": [8, 4]}}, "'decoder.windows'"),
        ({"discriminator": {"loss": "wasserstein"}}, "one of nonsaturating, minimax, hinge"),
        ({"discriminator": {"augment": ["blur"]}}, "'discriminator.augment'"),
        ({"tile": 100}, "'tile'.*multiple of 64"),
        ({"encoder": {"variant": "custom"}}, "'encoder.hiera'"),
        ({"encoder": {"variant": "custom", "hiera": 3}}, "'encoder.hiera'.*must be a table"),
        (
            {
                "data": [{"name": "a"}, {"name": "b", "weight": 2.0}],
                "optimization": {"epochs": 1},
            },
            "'data.weight'.*the same for all sources",
        ),
    ],
)
def test_wrong_recipe_names_the_key(recipe, change, message):
    with pytest.raises(InputError, match=message):
        parse_config(recipe | change)


def test_trunk_beside_one_of_a_name_is_refused(recipe):
    recipe["encoder"] = recipe["encoder"] | {"variant": "tiny"}
    with pytest.raises(InputError, match=r"'encoder.hiera'.*custom.*with a CLIP only"):
        parse_config(recipe)


def test_shipped_recipes_are_valid(request):
    folder = request.config.rootpath / "docs/reference/recipes"
    recipes = {path.stem: parse_config(read_table(path)) for path in sorted(folder.glob("*.toml"))}
    assert {"bundled-1", "bundled-2", "bundled-3"} <= recipes.keys()
    tests_only = {"tumor-aurora", "healthy-chris", "template-avg152"}
    for config in recipes.values():
        build_network(config, StartingWeights())
        assert all(tests_only.isdisjoint(source.only) for source in config.data)


def test_every_key_is_in_the_reference(request):
    text = (request.config.rootpath / "docs/reference/training-configuration.md").read_text()
    kinds = (
        TrainingConfig, DataSource, EncoderConfig, DecoderOptions, DiscriminatorConfig,
        Augmentation, Optimization, BaselineOptions,
    )  # fmt: skip
    keys = {field.name for kind in kinds for field in fields(kind)}
    tables = {
        "data", "encoder", "decoder", "discriminator", "augmentation", "optimization", "generator",
        "baseline",
    }  # fmt: skip
    for key in keys - tables:
        assert f"`{key}`" in text, key
    for table in tables:
        assert f"[{table}]" in text
    for recipe in RECIPES:
        assert f"| `{recipe}` |" in text


def test_flags_change_keys_and_a_budget_replaces_the_other():
    table = {"optimization": {"steps": 5, "batch": 2}}
    changed = with_assignments(
        table, ["optimization.minutes=3", "encoder.variant=tiny", 'targets=["PD"]']
    )
    assert changed["optimization"] == {"minutes": 3, "batch": 2}
    assert (changed["encoder"], changed["targets"]) == ({"variant": "tiny"}, ["PD"])
    assert table == {"optimization": {"steps": 5, "batch": 2}}
    for wrong in ("batch", "=3", "batch="):
        with pytest.raises(InputError, match="expected KEY=VALUE"):
            with_assignments(table, [wrong])


def test_recipe_that_is_no_toml_is_refused(tmp_path):
    (tmp_path / "x.toml").write_text("name = ")
    with pytest.raises(InputError, match=r"x\.toml is not valid TOML"):
        read_table(tmp_path / "x.toml")


def test_recipe_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"x\.toml is not UTF-8 text\. Save the TOML file"):
        read_table(tmp_path / "x.toml")


def test_recipe_with_backslashes_in_a_path_is_told_how_to_write_them(tmp_path):
    (tmp_path / "x.toml").write_text('folder = "D:\\heads"')
    with pytest.raises(InputError, match=r"not valid TOML: .* stands in single quotes"):
        read_table(tmp_path / "x.toml")


def test_recipe_may_begin_with_the_mark_that_editors_on_windows_write(tmp_path):
    text = "name = 'ö'\r\nfolder = 'D:\\heads'\r\n"
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_table(tmp_path / "x.toml") == {"name": "ö", "folder": "D:\\heads"}


def test_missing_recipe_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"configuration .*no\.toml cannot be read"):
        read_table(tmp_path / "no.toml")


def test_folders_belong_to_the_sources_of_the_recipe(recipe, cohort):
    config = parse_config(recipe)
    assert with_folders(config, {"phantoms": str(cohort)}).data[0].folder == str(cohort)
    with pytest.raises(InputError, match="no data source 'others'"):
        with_folders(config, {"others": str(cohort)})
    with pytest.raises(InputError, match="'phantoms' has no folder"):
        with_folders(config, {})
