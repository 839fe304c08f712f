"""Signal equations against values that a pencil or a Bloch loop gives."""

import numpy as np
import pytest

from SAMI2ILib.data.simulation.signal import (
    IXI_PD,
    IXI_T1,
    IXI_T1_AS_IN_HEADER,
    IXI_T2,
    Sequence,
    gradient_echo,
    inversion_prepared,
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
)
from SAMI2ILib.errors import InputError

LN2 = np.log(2.0)
WM, GM, CSF = Tissue.WHITE_MATTER, Tissue.GREY_MATTER, Tissue.CSF


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


@pytest.mark.parametrize("field_t", [1.5, 3.0])
def test_ixi_sequences_order_the_tissues_as_real_scans_do(field_t):
    tissues = tissue_parameters(field_t)
    t1, t2, pd = (sequence.signal(tissues) for sequence in (IXI_T1, IXI_T2, IXI_PD))
    assert t1[Tissue.FAT] > t1[WM] > t1[Tissue.DEEP_GREY] > t1[GM] > t1[CSF]
    assert t2[CSF] > t2[Tissue.FAT] > t2[GM] > t2[WM] > t2[Tissue.CORTICAL_BONE]
    assert pd[CSF] > pd[GM] > pd[WM]
    assert t2[Tissue.LESION] > 1.5 * t2[WM]


@pytest.mark.parametrize("field_t", [1.5, 3.0])
def test_header_values_of_ixi_give_hardly_any_contrast_without_the_preparation(field_t):
    signal = IXI_T1_AS_IN_HEADER.signal(tissue_parameters(field_t))
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


def test_random_t2_and_pd_sequences_keep_csf_and_grey_matter_above_white_matter():
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


def test_sequence_refuses_an_unknown_kind():
    with pytest.raises(InputError, match="kind must be one of spin-echo"):
        Sequence("balanced", {}).signal(tissue_parameters(3.0))


def test_tissue_parameters_refuse_another_field_strength():
    with pytest.raises(InputError, match=r"must be 1\.5 or 3 tesla, not 7"):
        tissue_parameters(7.0)


def test_jitter_refuses_a_negative_amount():
    with pytest.raises(InputError, match="amount must be 0 or more"):
        jitter(tissue_parameters(1.5), np.random.default_rng(0), -0.1)
