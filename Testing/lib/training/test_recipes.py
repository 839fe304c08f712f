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


@pytest.mark.parametrize("family", ["unet", "pix2pix", "cyclegan", "resvit"])
def test_paper_trains_all_compared_systems_alike(family):
    config = made("paper", family=family)
    plan, judge = config.optimization, config.discriminator
    assert (plan.learning_rate, plan.batch, plan.epochs) == (2e-5, 2, 20)  # Sec. 3
    assert (plan.schedule, plan.betas, judge.learning_rate) == ("constant", (0.9, 0.999), 2e-5)
    assert not any(asdict(config.augmentation).values())
    assert config.generator == {}
    assert recipe_label(config) == f"{family} paper"


@pytest.mark.parametrize(
    ("family", "l1", "adversarial", "loss", "epochs"),
    [
        ("unet", 1, 0, "nonsaturating", 200),
        ("pix2pix", 200, 1, "nonsaturating", 200),
        ("cyclegan", 0, 1, "least-squares", 200),
        ("resvit", 200, 1, "least-squares", 150),
    ],
)
def test_native_is_the_recipe_of_its_authors(family, l1, adversarial, loss, epochs):
    config = made("native", family=family)
    plan = config.optimization
    assert (plan.l1, plan.adversarial, plan.epochs, plan.batch) == (l1, adversarial, epochs, 1)
    assert (plan.learning_rate, plan.betas, plan.schedule) == (2e-4, (0.5, 0.999), "linear")
    assert (config.discriminator.loss, config.discriminator.betas) == (loss, (0.5, 0.999))
    # mirrored and nothing else, ResViT too: its published commands leave out --no_flip
    augmentation = {name: value for name, value in asdict(config.augmentation).items() if value}
    assert augmentation == {"flip": 0.5}
    assert recipe_label(config) == f"{family} native"


def test_native_details_of_each_system():
    cycle = made("native", family="cyclegan").baseline
    # 10, 5 and 50 of the paper, on images in [0, 1] instead of [-1, 1]
    assert (cycle.cycle, cycle.identity, cycle.pool, cycle.paired_l1) == (20, 10, 50, False)
    assert made("native", family="pix2pix").generator == {"instance_norm": True}
    resvit = made("native", family="resvit").baseline
    assert (resvit.first_stage, resvit.second_rate, resvit.pretrained) == (2 / 3, 5, True)


def test_transformer_from_scratch_is_said():
    config = made("paper", family="resvit", baseline={"pretrained": False})
    assert recipe_label(config) == "resvit paper with baseline.pretrained = False"


def test_unknown_family_and_a_recipe_that_it_does_not_have_are_refused():
    with pytest.raises(InputError, match=r"no family 'vnet'\. Choose one of sam-i2i, unet"):
        made("paper", family="vnet")
    with pytest.raises(InputError, match=r"unet has no recipe 'fidelity'\. Choose demo, paper or"):
        made("fidelity", family="unet")


def test_unknown_recipe_is_refused():
    with pytest.raises(
        InputError, match=r"no recipe 'papre'\. Choose one of demo, paper, fidelity"
    ):
        made("papre")
