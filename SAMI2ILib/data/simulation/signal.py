"""Signal of a tissue in the MR sequences that the simulator knows.

Times are in ms and angles in degrees; a signal is relative to the fully relaxed magnetization of
pure water, so it lies in 0..1.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.simulation.tissues import (
    Tissue,
    TissueParameters,
    tissue_parameters,
    with_contrast_agent,
)
from SAMI2ILib.errors import InputError

FloatArray = NDArray[np.float64]


def spin_echo(tissues: TissueParameters, tr_ms: float, te_ms: float) -> FloatArray:
    """Signal of a 90-180 degree spin echo; a fast (turbo) spin echo with its effective TE.

    Args:
        tissues: Values of n tissues.
        tr_ms: Repetition time.
        te_ms: Echo time.

    Returns:
        (n,) float64 in 0..1: PD (1 - exp(-TR / T1)) exp(-TE / T2).

    Raises:
        InputError: A time that is not positive, or TE not shorter than TR.
    """
    _check_times(tr_ms, te_ms)
    recovered = 1.0 - np.exp(-tr_ms / tissues.t1_ms)
    signal: FloatArray = tissues.proton_density * recovered * np.exp(-te_ms / tissues.t2_ms)
    return signal


def gradient_echo(
    tissues: TissueParameters, tr_ms: float, te_ms: float, flip_degrees: float
) -> FloatArray:
    """Steady-state signal of a spoiled gradient echo (Ernst's equation).

    Args:
        tissues: Values of n tissues.
        tr_ms: Repetition time.
        te_ms: Echo time.
        flip_degrees: Flip angle, over 0 and up to 90.

    Returns:
        (n,) float64 in 0..1: PD sin a (1 - E1) / (1 - cos a E1) exp(-TE / T2*), E1 = exp(-TR / T1).

    Raises:
        InputError: A time or an angle out of range.
    """
    _check_times(tr_ms, te_ms)
    _check_flip(flip_degrees)
    flip = np.deg2rad(flip_degrees)
    e1 = np.exp(-tr_ms / tissues.t1_ms)
    steady = np.sin(flip) * (1.0 - e1) / (1.0 - np.cos(flip) * e1)
    signal: FloatArray = tissues.proton_density * steady * np.exp(-te_ms / tissues.t2_star_ms)
    return signal


def inversion_prepared(
    tissues: TissueParameters,
    *,
    shot_ms: float,
    ti_ms: float,
    tr_ms: float,
    te_ms: float,
    flip_degrees: float,
    echoes: int,
) -> FloatArray:
    """Signal at the middle echo of an inversion-prepared gradient-echo train (MPRAGE, 3D TFE).

    Each shot inverts, waits, reads `echoes` spoiled echoes `tr_ms` apart whose middle lies `ti_ms`
    after the inversion, and recovers until `shot_ms`. The steady state over shots is exact.

    Args:
        tissues: Values of n tissues.
        shot_ms: From one inversion to the next.
        ti_ms: From the inversion to the middle echo.
        tr_ms: Between two echoes.
        te_ms: Echo time.
        flip_degrees: Flip angle of the echoes, over 0 and up to 90.
        echoes: Number of echoes a shot.

    Returns:
        (n,) float64 in 0..1, magnitude.

    Raises:
        InputError: A time or an angle out of range, or a train that does not fit.
    """
    _check_times(tr_ms, te_ms)
    _check_flip(flip_degrees)
    before = echoes // 2
    wait_ms = ti_ms - before * tr_ms
    rest_ms = shot_ms - wait_ms - echoes * tr_ms
    if echoes < 1 or wait_ms < 0 or rest_ms < 0:
        raise InputError(
            f"{echoes} echoes of {tr_ms:g} ms around TI {ti_ms:g} ms do not fit into a shot of "
            f"{shot_ms:g} ms.",
            "Use fewer echoes, a shorter tr_ms or a longer shot_ms.",
        )
    flip = np.deg2rad(flip_degrees)
    e1 = np.exp(-tr_ms / tissues.t1_ms)
    per_echo = np.cos(flip) * e1
    # n pulses take mz to mz * per_echo**n + steady * (1 - per_echo**n), a lower steady state.
    steady = (1.0 - e1) / (1.0 - per_echo)
    e_wait = np.exp(-wait_ms / tissues.t1_ms)
    e_rest = np.exp(-rest_ms / tissues.t1_ms)
    full = per_echo**echoes
    recovered = ((1.0 - e_wait) * full + steady * (1.0 - full)) * e_rest + (1.0 - e_rest)
    at_inversion = recovered / (1.0 + e_wait * full * e_rest)
    at_train = 1.0 - e_wait - at_inversion * e_wait
    at_middle = at_train * per_echo**before + steady * (1.0 - per_echo**before)
    signal: FloatArray = tissues.proton_density * np.sin(flip) * np.abs(at_middle)
    signal *= np.exp(-te_ms / tissues.t2_star_ms)
    return signal


def inversion_recovery(
    tissues: TissueParameters, tr_ms: float, te_ms: float, ti_ms: float
) -> FloatArray:
    """Signal of an inversion-recovery (fast) spin echo, as FLAIR is one.

    Args:
        tissues: Values of n tissues.
        tr_ms: From one inversion to the next.
        te_ms: Effective echo time, much shorter than TR.
        ti_ms: From the inversion to the excitation.

    Returns:
        (n,) float64 in 0..1, magnitude: PD |1 - 2 exp(-TI / T1) + exp(-TR / T1)| exp(-TE / T2).

    Raises:
        InputError: A time that is not positive, or TI and TE that do not fit into TR.
    """
    _check_times(tr_ms, te_ms)
    if not 0.0 < ti_ms < tr_ms - te_ms:
        raise InputError(
            f"ti_ms must be over 0 and below tr_ms - te_ms, not {ti_ms:g} of {tr_ms - te_ms:g} ms."
        )
    recovered = 1.0 - 2.0 * np.exp(-ti_ms / tissues.t1_ms) + np.exp(-tr_ms / tissues.t1_ms)
    signal: FloatArray = tissues.proton_density * np.abs(recovered)
    signal *= np.exp(-te_ms / tissues.t2_ms)
    return signal


def nulling_inversion_time(t1_ms: float, tr_ms: float) -> float:
    """The inversion time at which `inversion_recovery` of a tissue is 0, in ms."""
    return float(t1_ms * np.log(2.0 / (1.0 + np.exp(-tr_ms / t1_ms))))


def _check_times(tr_ms: float, te_ms: float) -> None:
    if not 0.0 < te_ms < tr_ms:
        raise InputError(
            f"te_ms and tr_ms must satisfy 0 < te_ms < tr_ms, not {te_ms:g} and {tr_ms:g} ms."
        )


def _check_flip(flip_degrees: float) -> None:
    if not 0.0 < flip_degrees <= 90.0:
        raise InputError(f"flip_degrees must be over 0 and up to 90, not {flip_degrees:g}.")


_EQUATIONS: dict[str, Callable[..., FloatArray]] = {
    "spin-echo": spin_echo,
    "gradient-echo": gradient_echo,
    "inversion-prepared": inversion_prepared,
    "inversion-recovery": inversion_recovery,
}


@dataclass(frozen=True)
class Sequence:
    """A pulse sequence and its parameters.

    Args:
        kind: "spin-echo", "gradient-echo", "inversion-prepared" or "inversion-recovery".
        parameters: The keyword arguments of the signal equation of that kind.
        agent_mmol_l: Concentration of a gadolinium agent by the names of tissues; empty for a scan
            without one.
    """

    kind: str
    parameters: dict[str, float]
    agent_mmol_l: dict[str, float] = field(default_factory=dict)

    @property
    def is_spin_echo(self) -> bool:
        """Whether fast blood leaves the slice between excitation and echo."""
        return self.kind in ("spin-echo", "inversion-recovery")

    def signal(self, tissues: TissueParameters) -> FloatArray:
        """Give the signal of each tissue.

        Returns:
            (n,) float64 in 0..1.

        Raises:
            InputError: An unknown kind, or parameters or concentrations out of range.
        """
        if self.kind not in _EQUATIONS:
            raise InputError(
                f"sequence kind must be one of {', '.join(_EQUATIONS)}, not {self.kind!r}."
            )
        if self.agent_mmol_l:
            tissues = with_contrast_agent(tissues, self.agent_mmol_l)
        return _EQUATIONS[self.kind](tissues, **self.parameters)

    def to_json(self) -> dict[str, Any]:
        """Give the sequence as JSON values."""
        return asdict(self)


# The IXI headers give the T1 scans TR 9.8, TE 4.6 ms and flip 8 degrees. As a plain spoiled
# gradient echo that has hardly any contrast between gray and white matter; the images show that it
# was an inversion-prepared 3D TFE, whose preparation the header does not record.
IXI_T1 = Sequence(
    "inversion-prepared",
    {
        "shot_ms": 2400.0,
        "ti_ms": 980.0,
        "tr_ms": 9.8,
        "te_ms": 4.6,
        "flip_degrees": 8.0,
        "echoes": 128,
    },
)
IXI_T2 = Sequence("spin-echo", {"tr_ms": 8178.0, "te_ms": 100.0})
IXI_PD = Sequence("spin-echo", {"tr_ms": 8178.0, "te_ms": 8.0})


def random_t1_sequence(rng: np.random.Generator, field_strength_t: float) -> Sequence:
    """Draw a T1-weighted sequence: inversion-prepared (half), spin echo, or spoiled gradient echo.

    Args:
        rng: Source of randomness.
        field_strength_t: At 3 T inversion times and repetition times are longer.
    """
    longer = 1.15 if field_strength_t > 2 else 1.0
    choice = rng.random()
    if choice < 0.5:
        ti_ms = rng.uniform(620.0, 1000.0) * longer
        tr_ms = rng.uniform(6.0, 9.8)
        # The train fits twice between the inversion and the middle echo with room to spare.
        echoes = min(int(rng.integers(90, 190)), int(1.7 * ti_ms / tr_ms))
        return Sequence(
            "inversion-prepared",
            {
                "shot_ms": rng.uniform(1.0, 2.2) * (ti_ms + 0.5 * echoes * tr_ms) + 100.0,
                "ti_ms": ti_ms,
                "tr_ms": tr_ms,
                "te_ms": rng.uniform(2.2, 4.6),
                "flip_degrees": rng.uniform(7.0, 13.0),
                "echoes": echoes,
            },
        )
    if choice < 0.8:
        return Sequence(
            "spin-echo",
            {"tr_ms": rng.uniform(400.0, 700.0) * longer, "te_ms": rng.uniform(8.0, 17.0)},
        )
    tr_ms = rng.uniform(9.0, 35.0)
    # Twice the Ernst angle of white matter and more is where a spoiled gradient echo weights by T1.
    ernst = np.rad2deg(np.arccos(np.exp(-tr_ms / (750.0 * longer))))
    return Sequence(
        "gradient-echo",
        {
            "tr_ms": tr_ms,
            "te_ms": rng.uniform(2.5, 6.0),
            "flip_degrees": min(ernst * rng.uniform(1.8, 3.0), 60.0),
        },
    )


def random_t2_sequence(rng: np.random.Generator) -> Sequence:
    """Draw a T2-weighted fast spin echo: effective TE 80-120 ms, TR 3.5-9 s."""
    return Sequence(
        "spin-echo", {"tr_ms": rng.uniform(3500.0, 9000.0), "te_ms": rng.uniform(80.0, 120.0)}
    )


def random_pd_sequence(rng: np.random.Generator) -> Sequence:
    """Draw a proton-density-weighted fast spin echo: effective TE 8-20 ms, TR 2.2-9 s."""
    return Sequence(
        "spin-echo", {"tr_ms": rng.uniform(2200.0, 9000.0), "te_ms": rng.uniform(8.0, 20.0)}
    )


# Where a standard dose (0.1 mmol/kg) is five minutes later, in mmol/l. Blood: 0.65 in plasma
# (Weinmann 1984, as fitted by Tofts 1991) times 1 - hematocrit. Tissues without a barrier: plasma
# times the space outside their cells. Brain: its blood volume. Tumor and lesions vary most.
_AGENT_MMOL_L = {
    "BLOOD": 0.38, "MUCOSA": 0.28, "DURA": 0.25, "TUMOR": 0.35, "LESION": 0.06, "MUSCLE": 0.07,
    "SKIN": 0.12, "GRAY_MATTER": 0.018, "DEEP_GRAY": 0.015, "WHITE_MATTER": 0.009,
}  # fmt: skip

FLAIR = Sequence(
    "inversion-recovery",
    {"tr_ms": 9000.0, "te_ms": 120.0, "ti_ms": nulling_inversion_time(4100.0, 9000.0)},
)
ENHANCED_T1 = replace(IXI_T1, agent_mmol_l=_AGENT_MMOL_L)


def random_enhanced_t1_sequence(rng: np.random.Generator, field_strength_t: float) -> Sequence:
    """Draw a T1-weighted sequence after a gadolinium agent: half to twice the usual uptake."""
    sequence = random_t1_sequence(rng, field_strength_t)
    dose = np.exp(rng.uniform(np.log(0.6), np.log(2.0)))
    uptake = dose * np.exp(rng.normal(0.0, 0.25, len(_AGENT_MMOL_L)))
    agent = {
        name: value * float(factor)
        for (name, value), factor in zip(_AGENT_MMOL_L.items(), uptake, strict=True)
    }
    return replace(sequence, agent_mmol_l=agent)


def random_flair_sequence(rng: np.random.Generator, field_strength_t: float) -> Sequence:
    """Draw a FLAIR: TR 8-11 s, effective TE 110-150 ms, TI within 3 % of what nulls CSF."""
    tr_ms = rng.uniform(8000.0, 11000.0)
    csf_t1_ms = float(tissue_parameters(field_strength_t).t1_ms[Tissue.CSF])
    ti_ms = nulling_inversion_time(csf_t1_ms, tr_ms) * rng.uniform(0.97, 1.03)
    return Sequence(
        "inversion-recovery", {"tr_ms": tr_ms, "te_ms": rng.uniform(110.0, 150.0), "ti_ms": ti_ms}
    )
