"""The named recipes say what the method says, and a run that departs from one says so."""

from dataclasses import asdict

import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.training.config_file import parse_config
from SAMI2ILib.training.recipes import departures, recipe_label


def made(recipe, **changes):
    table = {"name": "trial", "data": [{"name": "ixi"}], "recipe": recipe, **changes}
    return parse_config(table)


def test_paper_is_the_paper_where_it_speaks():
    config = made("paper")
    plan = config.optimization
    assert (plan.l1, plan.adversarial, plan.ssim) == (50, 1, 0)  # Eq. 3
    assert (plan.learning_rate, plan.batch, plan.epochs) == (2e-5, 2, 20)  # Sec. 3
    assert (plan.weight_decay, plan.schedule, plan.betas) == (0, "constant", (0.9, 0.999))
    assert (config.encoder.variant, config.encoder.frozen) == ("base_plus", True)
    assert (config.decoder.depth, config.decoder.encoder_upscale) == (2, 4)
    assert config.decoder.detail_width == 0
    judge = config.discriminator
    assert (judge.clip, judge.learning_rate, judge.betas) == ("ViT-B-32/openai", 2e-5, (0.5, 0.999))


def test_paper_trains_on_all_that_is_not_for_tests_without_augmentation():
    config = made("paper")
    assert config.train_parts == ("train", "validation")
    assert not any(asdict(config.augmentation).values())
    assert (config.optimization.export, config.optimization.ema) == ("last", 0)
    assert config.discriminator.augment == ("color", "translation", "cutout")


def test_fidelity_weighs_the_adversary_little_and_averages():
    plan = made("fidelity").optimization
    assert plan.adversarial <= 0.1
    assert plan.ssim == pytest.approx(0.2 * plan.l1)
    assert (plan.ema, plan.schedule) == (0.999, "cosine")


def test_run_of_a_recipe_carries_its_name_and_a_changed_one_says_what():
    free = {"seed": 4, "threads": 2, "targets": ["PD"], "title": "x"}
    assert recipe_label(made("paper", **free)) == "paper"
    assert recipe_label(made("fidelity")) == "fidelity"
    changed = made("paper", encoder={"variant": "tiny"}, optimization={"steps": 3})
    assert departures(changed) == [
        "encoder.variant = tiny", "optimization.steps = 3", "optimization.epochs = 0.0"
    ]  # fmt: skip
    assert recipe_label(changed).startswith("paper with encoder.variant = tiny,")


def test_own_recipe_starts_from_the_defaults_and_names_its_changes():
    assert recipe_label(made("demo", optimization={"minutes": 5})) == "demo"
    label = recipe_label(made("demo", optimization={"minutes": 5, "crop": 64}))
    assert label == "demo with optimization.crop = 64"


def test_unknown_recipe_is_refused():
    with pytest.raises(
        InputError, match=r"no recipe 'papre'\. Choose one of demo, paper, fidelity"
    ):
        made("papre")
