"""Models that fit a pair of contrasts, and their cards."""

import pytest
from SAMI2IPanel.model_choice import ModelChoice, cardHtml, originText


@pytest.fixture
def make_model():
    def make(model_id, source="T1", target="T2", **changes):
        return {
            "id": model_id, "title": f"Model {model_id}", "family": "sam-i2i",
            "source_contrast": source, "target_contrast": target, "license": "MIT",
            "intended_use": "Research.", "encoder": "none", "encoder_kind": "none",
            "training_data": [], "metrics": [], "origin": "user", "path": "", "encoder_problem": "",
            **changes,
        }  # fmt: skip

    return make


def test_only_models_of_the_pair_are_offered_and_complete_ones_first(make_model):
    choice = ModelChoice(
        [
            make_model("without", encoder_problem="The encoder is missing."),
            make_model("whole"),
            make_model("pd", target="PD"),
            make_model("back", source="T2", target="T1"),
        ]
    )
    assert [model["id"] for model in choice.forPair("T1", "T2")] == ["whole", "without"]
    assert choice.forPair("FLAIR", "T2") == []
    assert choice.byId("back")["target_contrast"] == "T1"
    assert choice.byId("other") is None


def test_contrasts_on_offer_are_those_of_the_models(make_model):
    choice = ModelChoice([make_model("a", "T1", "PD"), make_model("b", "FLAIR", "T1")])
    assert choice.sources() == ["T1", "T2", "PD", "FLAIR"]
    assert choice.targets() == ["T1", "PD"]


def test_usual_contrasts_are_shown_while_the_models_are_unknown():
    choice = ModelChoice()
    assert not choice.isKnown
    assert choice.targets() == ["T1", "T2", "PD"]
    assert ModelChoice([]).isKnown


def test_card_says_what_a_user_should_know(make_model):
    metrics = [
        {"name": n, "value": v, "unit": u, "data": "IXI", "region": "brain"}
        for n, v, u in (("PSNR", 27.123, "dB"), ("SSIM", 0.93, ""), ("flicker", 1.0, ""))
    ]
    data = [{"name": "IXI", "subjects": 464}, {"name": "a & b", "subjects": 0}]
    card = cardHtml(make_model("m", metrics=metrics, training_data=data))
    assert "<b>Title:</b> Model m" in card
    assert "IXI (464 subjects); a &amp; b" in card
    assert "PSNR 27.1 dB, SSIM 0.93 (IXI; brain)" in card
    assert "flicker" not in card
    assert "<b>License:</b> MIT" in card
    assert "<b>Intended use:</b> Research." in card


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"encoder_kind": "public", "encoder": "sam2.1_hiera_tiny"},
            "SAM2's own, sam2.1_hiera_tiny",
        ),
        ({"encoder_kind": "store", "encoder": "e", "origin": "bundled"}, "a bundled demonstration"),
        ({"encoder_kind": "store", "encoder": "mine"}, "mine, not SAM2's own file"),
        ({"encoder_kind": "embedded", "encoder": "embedded"}, "inside the model file"),
        ({"family": "unet"}, "none: the model is a unet"),
    ],
)
def test_card_says_whether_the_encoder_is_that_of_sam2(make_model, changes, text):
    from html import escape

    assert f"<b>Encoder:</b> {escape(text)}" in cardHtml(make_model("m", **changes))


def test_card_begins_with_what_is_missing(make_model):
    card = cardHtml(make_model("m", encoder_problem="Get the encoder."))
    assert card.startswith("<b>Cannot be used yet:</b> Get the encoder.")
    assert "not measured" in card


def test_bundled_models_are_called_demonstrations(make_model):
    assert originText(make_model("m", origin="bundled")) == "bundled demonstration"
    assert originText(make_model("m")) == "your model"
