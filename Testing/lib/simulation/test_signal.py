"""Signal equations against values that a pencil or a Bloch loop gives."""

import numpy as np
import pytest

from SAMI2ILib.data.simulation.signal import (
    ENHANCED_T1,
    FLAIR,
    IXI_PD,
    IXI_T1,
    IXI_T2,
    Sequence,
    gradient_echo,
    inversion_prepared,
    inversion_recovery,
    nulling_inversion_time,
    random_enhanced_t1_sequence,
    random_flair_sequence,
    random_pd_sequence,
    random_t1_sequence,
    random_t2_sequence,
    spin_echo,
)
from SAMI2ILib.data.simulation.tissues import (
    Tissue,
    TissueParameters,
    jitter,
    tissue_parameters,
    with_contrast_agent,
)
from SAMI2ILib.errors import InputError

LN2 = np.log(2.0)
WM, GM, CSF = Tissue.WHITE_MATTER, Tissue.GRAY_MATTER, Tissue.CSF


def one_tissue(t1: float, t2: float, t2_star: float, density: float) -> TissueParameters:
    return TissueParameters(*(np.array([value]) for value in (t1, t2, t2_star, density)))


def test_spin_echo_halves_twice_when_tr_and_te_are_one_half_life():
    signal = spin_echo(one_tissue(1000, 100, 50, 0.8), tr_ms=1000 * LN2, te_ms=100 * LN2)
    assert signal[0] == pytest.approx(0.8 * 0.5 * 0.5)


def test_gradient_echo_is_saturation_recovery_when_flip_is_90():
    signal = gradient_echo(
        one_tissue(1000, 100, 50, 0.8), tr_ms=1000 * LN2, te_ms=50 * LN2, flip_degrees=90
    )
    assert signal[0] == pytest.approx(0.8 * 0.5 * 0.5)


def test_gradient_echo_peaks_at_one_half_at_the_ernst_angle_when_e1_is_three_fifths():
    tissue = one_tissue(1000, 1e9, 1e9, 1.0)
    tr_ms = -1000 * np.log(0.6)
    ernst = float(np.rad2deg(np.arccos(0.6)))
    signals = [gradient_echo(tissue, tr_ms, 1e-6, ernst + d)[0] for d in (-1, 0, 1)]
    assert signals[1] == pytest.approx(0.5)  # sqrt((1 - E1) / (1 + E1))
    assert signals[1] > max(signals[0], signals[2])


def test_inversion_prepared_is_one_half_when_single_90_degree_echo_at_two_half_lives():
    signal = inversion_prepared(
        one_tissue(1000, 1e9, 1e9, 1.0),
        shot_ms=1e6,
        ti_ms=2000 * LN2,
        tr_ms=1e-3,
        te_ms=1e-4,
        flip_degrees=90,
        echoes=1,
    )
    assert signal[0] == pytest.approx(0.5, abs=1e-5)  # 1 - 2 / 4


def test_inversion_prepared_equals_a_bloch_loop():
    t1, density, flip = 900.0, 0.7, np.deg2rad(9.0)
    shot, ti, tr, echoes = 2200.0, 800.0, 8.0, 100
    mz = density
    for _ in range(40):  # shots until the steady state
        mz = density + (-mz - density) * np.exp(-(ti - 50 * tr) / t1)
        for echo in range(echoes):
            if echo == echoes // 2:
                middle = abs(mz) * np.sin(flip)
            mz = density + (mz * np.cos(flip) - density) * np.exp(-tr / t1)
        mz = density + (mz - density) * np.exp(-(shot - ti - 50 * tr) / t1)
    signal = inversion_prepared(
        one_tissue(t1, 70, 50, density),
        shot_ms=shot,
        ti_ms=ti,
        tr_ms=tr,
        te_ms=3.0,
        flip_degrees=9.0,
        echoes=echoes,
    )
    assert signal[0] == pytest.approx(middle * np.exp(-3 / 50))


def test_inversion_recovery_equals_the_values_worked_out_by_hand():
    # exp(-TI/T1) = 1/2, exp(-TR/T1) = 1/4, exp(-TE/T2) = 1/2: 0.8 |1 - 1 + 1/4| / 2
    tissue = one_tissue(1000, 100, 50, 0.8)
    signal = inversion_recovery(tissue, tr_ms=2000 * LN2, te_ms=100 * LN2, ti_ms=1000 * LN2)
    assert signal[0] == pytest.approx(0.1)


def test_nulling_inversion_time_nulls_its_tissue_and_no_other():
    ti_ms = nulling_inversion_time(4000.0, 9000.0)
    fluid, white = (
        inversion_recovery(one_tissue(t1, 100, 50, 1.0), 9000, 100, ti_ms)[0] for t1 in (4000, 700)
    )
    assert fluid == pytest.approx(0.0, abs=1e-12)
    assert white > 0.3


def test_contrast_agent_adds_its_rate_to_those_of_the_tissue():
    # 1 / 4.1 mmol/l adds 1 per second to 1/T1 and 4.6 / 4.1 to 1/T2: T1 1000 -> 500 ms.
    tissues = tissue_parameters(1.5)
    enhanced = with_contrast_agent(tissues, {"BLOOD": 1 / 4.1})
    blood = Tissue.BLOOD
    assert 1000 / enhanced.t1_ms[blood] == pytest.approx(1000 / 1441.0 + 1)
    assert 1000 / enhanced.t2_ms[blood] == pytest.approx(1000 / 290.0 + 4.6 / 4.1)
    assert 1000 / enhanced.t2_star_ms[blood] == pytest.approx(1000 / 150.0 + 4.6 / 4.1)
    assert enhanced.t1_ms[WM] == tissues.t1_ms[WM]


@pytest.mark.parametrize("field_t", [1.5, 3.0])
def test_flair_shows_fluid_darkest_and_lesions_brightest_of_the_brain(field_t):
    signal = FLAIR.signal(tissue_parameters(field_t))
    assert signal[CSF] < 0.05 * signal[WM] < signal[WM] < signal[GM] < signal[Tissue.LESION]


@pytest.mark.parametrize("field_t", [1.5, 3.0])
def test_enhanced_t1_brightens_what_has_no_barrier_and_leaves_the_brain(field_t):
    tissues = tissue_parameters(field_t)
    plain = np.maximum(IXI_T1.signal(tissues), 1e-9)  # air gives no signal
    change = ENHANCED_T1.signal(tissues) / plain
    for tissue in (Tissue.BLOOD, Tissue.MUCOSA, Tissue.DURA, Tissue.TUMOR):
        assert change[tissue] > 1.25
    assert 1 < change[WM] < 1.05
    assert 1 < change[GM] < 1.2


def test_random_flair_and_enhanced_t1_keep_the_order_of_their_kind():
    rng = np.random.default_rng(6)
    for field_t in [1.5, 3.0] * 20:
        tissues = tissue_parameters(field_t)
        flair = random_flair_sequence(rng, field_t).signal(tissues)
        assert flair[CSF] < 0.25 * flair[WM] < flair[WM] < flair[GM]
        enhanced = random_enhanced_t1_sequence(rng, field_t).signal(tissues)
        assert enhanced[WM] > enhanced[GM] > enhanced[CSF]
        assert enhanced[Tissue.BLOOD] > enhanced[CSF]


@pytest.mark.parametrize("field_t", [1.5, 3.0])
def test_ixi_sequences_order_the_tissues_as_real_scans_do(field_t):
    tissues = tissue_parameters(field_t)
    t1, t2, pd = (sequence.signal(tissues) for sequence in (IXI_T1, IXI_T2, IXI_PD))
    assert t1[Tissue.FAT] > t1[WM] > t1[Tissue.DEEP_GRAY] > t1[GM] > t1[CSF]
    assert t2[CSF] > t2[Tissue.FAT] > t2[GM] > t2[WM] > t2[Tissue.CORTICAL_BONE]
    assert pd[CSF] > pd[GM] > pd[WM]
    assert t2[Tissue.LESION] > 1.5 * t2[WM]


@pytest.mark.parametrize("field_t", [1.5, 3.0])
def test_header_values_of_ixi_give_hardly_any_contrast_without_the_preparation(field_t):
    in_header = Sequence("gradient-echo", {"tr_ms": 9.8, "te_ms": 4.6, "flip_degrees": 8.0})
    signal = in_header.signal(tissue_parameters(field_t))
    assert abs(signal[GM] / signal[WM] - 1) < 0.1


def test_random_t1_sequences_show_white_matter_brightest_of_the_brain():
    rng = np.random.default_rng(3)
    kinds = set()
    for field_t in [1.5, 3.0] * 60:
        sequence = random_t1_sequence(rng, field_t)
        signal = sequence.signal(tissue_parameters(field_t))
        assert signal[WM] > signal[GM] > signal[CSF]
        kinds.add(sequence.kind)
    assert kinds == {"spin-echo", "gradient-echo", "inversion-prepared"}


def test_random_t2_and_pd_sequences_keep_csf_and_gray_matter_above_white_matter():
    rng = np.random.default_rng(4)
    for _ in range(50):
        tissues = tissue_parameters(float(rng.choice([1.5, 3.0])))
        t2 = random_t2_sequence(rng).signal(tissues)
        pd = random_pd_sequence(rng).signal(tissues)
        assert t2[CSF] > t2[GM] > t2[WM]
        assert pd[GM] > pd[WM]


def test_jitter_keeps_both_kinds_of_csf_equal_and_changes_the_rest():
    before = tissue_parameters(1.5)
    after = jitter(before, np.random.default_rng(0), 0.1)
    assert after.t1_ms[Tissue.VENTRICLE] == after.t1_ms[CSF] != before.t1_ms[CSF]
    assert after.proton_density.max() <= 1.0
    np.testing.assert_array_equal(jitter(before, np.random.default_rng(0), 0).t2_ms, before.t2_ms)


def test_spin_echo_refuses_an_echo_after_the_repetition():
    with pytest.raises(InputError, match="0 < te_ms < tr_ms"):
        spin_echo(tissue_parameters(1.5), tr_ms=10, te_ms=10)


@pytest.mark.parametrize("flip", [0.0, 91.0])
def test_gradient_echo_refuses_a_flip_angle_out_of_range(flip):
    with pytest.raises(InputError, match="flip_degrees must be over 0"):
        gradient_echo(tissue_parameters(1.5), tr_ms=10, te_ms=3, flip_degrees=flip)


def test_inversion_prepared_refuses_a_train_that_does_not_fit():
    with pytest.raises(InputError, match="do not fit into a shot of 1000 ms"):
        inversion_prepared(
            tissue_parameters(1.5),
            shot_ms=1000,
            ti_ms=900,
            tr_ms=10,
            te_ms=3,
            flip_degrees=8,
            echoes=100,
        )


@pytest.mark.parametrize("ti_ms", [0.0, 8950.0])
def test_inversion_recovery_refuses_an_inversion_time_that_does_not_fit(ti_ms):
    with pytest.raises(InputError, match="ti_ms must be over 0 and below"):
        inversion_recovery(tissue_parameters(1.5), tr_ms=9000, te_ms=100, ti_ms=ti_ms)


@pytest.mark.parametrize("concentration", [{"BLOOD": -0.1}, {"BLOOD": float("nan")}, {"HAIR": 1.0}])
def test_contrast_agent_refuses_what_no_tissue_takes_up(concentration):
    with pytest.raises(InputError, match="concentration_mmol_l must give tissues 0 or more"):
        with_contrast_agent(tissue_parameters(1.5), concentration)


def test_sequence_refuses_an_unknown_kind():
    with pytest.raises(InputError, match="kind must be one of spin-echo"):
        Sequence("balanced", {}).signal(tissue_parameters(3.0))


def test_tissue_parameters_refuse_another_field_strength():
    with pytest.raises(InputError, match=r"must be 1\.5 or 3 tesla, not 7"):
        tissue_parameters(7.0)


def test_jitter_refuses_a_negative_amount():
    with pytest.raises(InputError, match="amount must be 0 or more"):
        jitter(tissue_parameters(1.5), np.random.default_rng(0), -0.1)
