"""The faults by name; a test that tries one is marked `@pytest.mark.fault("name")`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """What happens to a run, and what holds all the same.

    Attributes:
        happens: The fault.
        holds: What a user finds afterwards.
        exit_code: Of the command; empty where it is killed or the run goes on.
    """

    happens: str
    holds: str
    exit_code: str = ""


FAULTS = {
    "child-killed": Fault(
        "kill -9 of the working process",
        "earlier files as they were, no new file under its name; the next run removes the "
        "leftovers and goes on; the panel says so and names the log",
    ),
    "parent-killed": Fault(
        "kill -9 of the program that started it",
        "no orphan: the process ends and removes its temporary files",
        "130",
    ),
    "cancelled": Fault("Ctrl-C, SIGTERM, Cancel, closed scene", "nothing is left", "130"),
    "disk-full": Fault("disk full", "earlier files as they were, nothing half-written", "1"),
    "read-only-output": Fault("output folder may not be written to", "nothing is written", "1"),
    "folder-gone": Fault(
        "output, temporary or current folder removed",
        "the output folder is made again; without a current folder a line says so",
        "0 or 2",
    ),
    "source-changed": Fault(
        "input replaced while it is read",
        "refused: the record never names other bytes than those that were translated",
        "2",
    ),
    "source-damaged": Fault("damaged, truncated or odd input", "refused, nothing is left", "2"),
    "model-replaced": Fault(
        "model file replaced while running",
        "the run goes on with the model that it read, and its record names that one",
        "0",
    ),
    "model-changed": Fault(
        "model file in the store changed since it was added", "refused before any work", "2"
    ),
    "model-truncated": Fault("model file truncated", "refused with both lengths", "2"),
    "model-bit-flipped": Fault(
        "one bit flipped anywhere in a model file", "refused before any work", "2"
    ),
    "out-of-memory": Fault(
        "memory runs out at any moment", "smaller batches, then a line; nothing is left", "0 or 4"
    ),
    "two-runs": Fault(
        "two runs on one output or one store",
        "image and record of one and the same run; no record of a model is lost",
        "0",
    ),
    "clock": Fault(
        "clock set back or forward, files from the future", "same voxels, nothing removed", "0"
    ),
    "locale": Fault(
        "ASCII locale and output encoding, decimal comma",
        "same voxels, names kept; a locale in which paths are not UTF-8 is said",
        "0 or 2",
    ),
    "non-ascii-path": Fault(
        "letters of any script, names that are not UTF-8",
        "names kept; one that is not UTF-8 is refused, as ITK would end the process",
        "0 or 2",
    ),
    "spaces-in-path": Fault("spaces in paths", "names kept", "0"),
    "long-path": Fault("deep folders; names longer than the system allows", "a line", "0 or 2"),
    "symbolic-links": Fault(
        "links as input, output, sidecar, folder; link loops; hard links",
        "links are read; an output replaces a link, never what it points to",
        "0 or 2",
    ),
    "output-over-input": Fault(
        "output over the input, another scan or its own second result", "refused", "2"
    ),
    "download-interrupted": Fault(
        "download cut, stalled, or changed in between",
        "what arrived is kept and continued; a file gets its name after its hash is checked",
        "1",
    ),
}
