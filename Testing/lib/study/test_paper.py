import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.study.cells import Cell, parse_budget, training_table, what_decides
from SAMI2ILib.study.paper import (
    DIRECTIONS,
    SYSTEMS,
    TABLE_1,
    TABLE_2,
    Direction,
    parse_directions,
    parse_systems,
    published,
)
from SAMI2ILib.study.training import description_of
from SAMI2ILib.training.config_file import parse_config

DATA = {"data": [{"name": "ixi"}]}


def test_paper_s_figures_are_those_of_its_tables():
    assert published("unet", Direction("T1", "T2")) == (27.00, 0.914, 0.2132)
    assert published("sam-i2i", Direction("T2", "T1")) == (30.53, 0.955, 0.0757)
    assert published("resvit", Direction("T1", "PD")) == (28.20, 0.915, 0.1055)
    assert published("cyclegan", Direction("PD", "T1")) == (29.80, 0.949, 0.0822)
    assert published("vit-b-16", Direction("PD", "T1")) == (30.02, 0.951, 0.0803)
    assert published("unet", Direction("T1", "FLAIR")) is None


def test_paper_s_psnr_and_nrmse_imply_one_target_a_column():
    # RMSE / NRMSE is the targets' RMS: .209 of T2, .393 of T1, .368 of PD. A wrong digit shows.
    rms = {"T2": 0.209, "T1": 0.393, "PD": 0.368}
    for system in SYSTEMS:
        for direction in DIRECTIONS:
            psnr, ssim, nrmse = published(system, direction)
            assert 10 ** (-psnr / 20) / nrmse == pytest.approx(rms[direction.target], rel=0.02)
            assert 0.89 < ssim < 0.96


def test_sam_i2i_is_the_best_of_both_tables_in_the_paper():
    for names in (TABLE_1, TABLE_2):
        for direction in DIRECTIONS:
            best = max(names, key=lambda name: published(name, direction).psnr)
            assert best == "sam-i2i"


def test_directions_and_systems_are_read_in_the_paper_s_order():
    assert parse_directions("PD-T1, T1-T2") == (("PD", "T1"), ("T1", "T2"))
    assert parse_systems("sam-i2i,unet") == ("unet", "sam-i2i")
    for wrong in ("T1", "T1-T1", "T1-T2,T1-T2", "T1-T2-PD"):
        with pytest.raises(InputError, match="is no direction, or comes twice"):
            parse_directions(wrong)
    with pytest.raises(InputError, match="no system 'gan'"):
        parse_systems("unet,gan")


def test_budget_is_a_number_and_a_unit():
    budget = parse_budget(["90", "seconds"])
    assert (budget.key, budget.value, str(budget)) == ("minutes", 1.5, "90 seconds")
    assert parse_budget(["500", "steps"]).value == 500
    assert parse_budget(["2.5", "hours"]).value == 150
    for words in (["many", "steps"], ["3", "days"], ["0", "epochs"], ["nan", "steps"]):
        with pytest.raises(InputError, match="expected a number and one of steps"):
            parse_budget(words)


@pytest.mark.parametrize("system", list(SYSTEMS))
@pytest.mark.parametrize("recipe", ["paper", "native"])
def test_every_cell_is_a_valid_training(system, recipe):
    cell = Cell(system, Direction("PD", "T1"), 3)
    config = parse_config(training_table(cell, recipe) | DATA)
    assert (config.source, config.targets, config.seed) == ("PD", ("T1",), 3)
    assert config.train_parts == ("train", "validation")
    plan = config.optimization
    if recipe == "paper" or config.family == "sam-i2i":
        assert (plan.epochs, plan.batch, plan.learning_rate) == (20, 2, 2e-5)
    else:
        assert plan.learning_rate == 2e-4


def test_encoders_of_table_2_take_the_place_of_sam2_s():
    variants = {
        name: parse_config(
            training_table(Cell(name, DIRECTIONS[0]), "paper", parse_budget(["5", "epochs"])) | DATA
        ).encoder
        for name in TABLE_2
    }
    assert variants["rn101"].variant == "clip:RN101/openai"
    assert variants["vit-b-16"].variant == "clip:ViT-B-16/laion2b_s34b_b88k"
    assert (variants["sam-i2i"].variant, variants["sam-i2i"].frozen) == ("base_plus", True)


def test_training_from_other_weights_is_another_one():
    table = {"name": "x", "data": [{"name": "ixi"}], "optimization": {"steps": 1}}
    first, second = (
        description_of(parse_config({**table, "encoder": {"checkpoint": name}}), ["id"])
        for name in ("a.pt", "b.pt")
    )
    assert first != second
    assert first["datasets"] == ["id"]
    assert first["optimization"]["steps"] == 1


def test_what_decides_a_training_leaves_out_the_machine():
    table = training_table(Cell("unet", DIRECTIONS[0]), "paper")
    here = {"workers": 4, "data": [{"name": "ixi", "folder": "/here"}]}
    there = {"threads": 2, "data": [{"name": "ixi", "folder": "/there"}]}
    changed = {"seed": 1, **DATA}
    first, second, third = (
        what_decides(parse_config(table | more)) for more in (here, there, changed)
    )
    assert first == second != third
    assert first["optimization"]["learning_rate"] == 2e-5
    # at its default, as a key of a later version will be for a training of today
    assert "context_slices" not in first
    assert "decoder" not in first
