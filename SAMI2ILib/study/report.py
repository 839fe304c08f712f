"""Writes the report of a study from what its jobs have found so far: page, tables, figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from SAMI2ILib.atomic import make_folder, remove_leftovers, write_text
from SAMI2ILib.study.jobs import JobState, Plan
from SAMI2ILib.study.page import Page, Picture, write_page
from SAMI2ILib.study.pictures import LARGEST_ERROR, draw_features, draw_translations
from SAMI2ILib.study.provenance import distinct, id_lists, software
from SAMI2ILib.study.reproduction import (
    Study,
    dataset_folder,
    training_job,
)
from SAMI2ILib.study.results import gather_tables, write_table
from SAMI2ILib.study.smoke import ENCODER_NOTE

PAGE_FILE: Final = "index.html"
FIGURES_FOLDER: Final = "figures"


def write_report(study: Study, plan: Plan, folder: Path) -> Path:
    """Write `index.html`, `table1.csv`, `table2.csv` and the pictures beside them.

    What is not done yet, or has failed, is said in its place.

    Args:
        study: What is reproduced.
        plan: Its jobs.
        folder: Where to; made where it is missing.

    Returns:
        The page.

    Raises:
        InputError: The dataset cannot be read.
        MissingError: matplotlib is not installed.
        OutputError: A file cannot be written.
    """
    make_folder(folder / FIGURES_FOLDER)
    for place in (folder, folder / FIGURES_FOLDER):
        remove_leftovers(place)
    tables = gather_tables(study, plan)
    for table in tables:
        write_table(table, folder / f"table{table.number}.csv")
    states = plan.states()
    page = Page(
        title="SAM-I2I: smoke test of the reproduction" if study.is_smoke else "SAM-I2I reproduced",
        lead=_lead(study, states),
        tables=tables,
        pictures=_draw(study, plan, folder),
        facts=_facts(study, plan),
        lists={"Trainings": _trainings(study, plan), "Jobs": _jobs(states)},
        is_smoke=study.is_smoke,
    )
    write_text(write_page(page), folder / PAGE_FILE)
    return folder / PAGE_FILE


def _lead(study: Study, states: list[JobState]) -> str:
    done = sum(state.status == "done" for state in states)
    failed = sum(state.status == "failed" for state in states)
    budget = f", {study.length} of training each" if study.length else ""
    tail = f", {failed} failed" if failed else ""
    return (
        f"{_count(study.systems, 'system')} in {_count(study.directions, 'direction')}, recipe "
        f"{study.recipe}{budget}, {_count(range(study.seeds), 'seed')}. "
        f"{done} of {len(states)} jobs are done{tail}."
    )


def _count(things: Sequence[object], name: str) -> str:
    return f"1 {name}" if len(things) == 1 else f"{len(things)} {name}s"


def _draw(study: Study, plan: Plan, folder: Path) -> list[Picture]:
    """The figures, once there are data to draw."""
    if not (dataset_folder(study, plan) / "dataset.json").is_file():
        return []
    pictures = []
    for direction in study.directions:
        name = f"{FIGURES_FOLDER}/figure2-{direction}.png".lower()
        shown = draw_translations(study, plan, direction, folder / name)
        pictures.append(
            Picture(
                name,
                f"Figure 2, {direction.title}: source, real target, what each system makes of the "
                f"source, and below its absolute error from 0 (black) to {LARGEST_ERROR:g} "
                f"(yellow). Test subject {shown}, seed 0; the patient's right is on the left.",
            )
        )
    name = f"{FIGURES_FOLDER}/figure3.png"
    note = ENCODER_NOTE if study.is_smoke else ""
    if draw_features(study, plan, folder / name, note):
        random = " All three hold random weights here." if study.is_smoke else ""
        pictures.append(
            Picture(
                name,
                "Figure 3: the first-stage features of the encoders, before any projection. Red, "
                "green and blue are the first three principal components over the channels, each "
                "scaled to its own range, so that colors of two pictures cannot be compared."
                + random,
            )
        )
    return pictures


def _facts(study: Study, plan: Plan) -> dict[str, dict[str, str]]:
    made = [plan.result(job.id) for job in plan.jobs if plan.is_done(job.id)]
    settings = {
        "scale": study.scale,
        "recipe": study.recipe,
        "budget": str(study.length) if study.length else "the recipe's own",
        "seeds": ", ".join(str(seed) for seed in range(study.seeds)),
        "further keys": ", ".join(study.settings) or "none",
    }
    facts = {"Configuration": settings, "Data": _data(study, plan)}
    computed = distinct([result["software"] for result in made if "software" in result])
    machines = distinct([result["hardware"] for result in made if "hardware" in result])
    for heading, sets in (("Software", computed or [software()]), ("Hardware", machines)):
        for number, one in enumerate(sets, start=1):
            name = heading if len(sets) == 1 else f"{heading} {number} of {len(sets)}"
            facts[name] = {key: value or "unknown" for key, value in one.items()}
    return facts


def _data(study: Study, plan: Plan) -> dict[str, str]:
    from SAMI2ILib.data.dataset import SPLITS, open_dataset

    folder = dataset_folder(study, plan)
    if not (folder / "dataset.json").is_file():
        return {"dataset": "not made yet"}
    dataset = open_dataset(folder)
    counts = ", ".join(f"{part} {len(dataset.split(part))}" for part in SPLITS)
    lists = {f"SHA-256 of {name}": digest for name, digest in id_lists(folder).items()}
    named = {"name": str(dataset.manifest.get("name", "")), "dataset id": dataset.id}
    return {**named, "subjects": counts, **lists}


def _trainings(study: Study, plan: Plan) -> list[tuple[str, ...]]:
    """A line for each training that is done: what it was and its files' hashes."""
    rows: list[tuple[str, ...]] = [
        ("cell", "recipe", "parameters", "steps", "seconds", "model SHA-256", "starts from SHA-256")
    ]
    for cell in study.cells:
        job = training_job(cell)
        if not plan.is_done(job):
            rows.append((cell.title, plan.state(job).status, *["-"] * 5))
            continue
        result = plan.result(job)
        rows.append(
            (
                cell.title,
                result["recipe"],
                f"{result['parameters'] / 1e6:.2f} M",
                str(result["steps"]),
                f"{result['seconds']:.0f}",
                result["sha256"],
                _starts(study, result["starting_weights"]),
            )
        )
    return rows


def _starts(study: Study, hashes: Mapping[str, Any]) -> str:
    note = f" ({ENCODER_NOTE})" if study.is_smoke else ""
    return "; ".join(f"{part}{note} {value}" for part, value in hashes.items()) or "random weights"


def _jobs(states: list[JobState]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("number", "job", "state", "remark")]
    rows += [(str(s.number), s.job.title, s.status, s.message or "-") for s in states]
    return rows
