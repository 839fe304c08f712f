"""Which part of a cohort a process takes."""

import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.inference.cohort.shard import Shard, parse_shard, shard_from_environment

BATCH_STEP = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}


def test_shards_together_take_each_item_once():
    items = list(range(11))
    taken = [Shard(number, 4).take(items) for number in (1, 2, 3, 4)]
    assert taken == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7]]


def test_option_counts_from_one():
    shard = parse_shard("2/8")
    assert (shard.number, shard.count, shard.origin) == (2, 8, "--shard 2/8")


@pytest.mark.parametrize("text", ["", "2", "2/", "/8", "a/b", "-1/8", "1.5/8", "1/2/3"])
def test_other_texts_are_refused(text):
    with pytest.raises(InputError, match="must look like 2/8"):
        parse_shard(text)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0"])
def test_shard_that_does_not_exist_is_refused(text):
    with pytest.raises(InputError, match="does not exist"):
        parse_shard(text)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (1, 1, 0)),
        ({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, (6, 8, 1)),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_LOCALID": "2"}, (3, 4, 2)),
        # one process of an srun of four; then the batch script itself, which is one process
        ({**BATCH_STEP, "SLURM_PROCID": "3", "SLURM_STEP_ID": "0"}, (4, 4, 0)),
        ({**BATCH_STEP, "SLURM_STEP_ID": "1", "SLURM_STEP_NUM_TASKS": "1"}, (1, 1, 0)),
        (BATCH_STEP, (1, 1, 0)),
        # --array=2-8:2 has the elements 2, 4, 6, 8
        (
            {
                "SLURM_ARRAY_TASK_ID": "6",
                "SLURM_ARRAY_TASK_MIN": "2",
                "SLURM_ARRAY_TASK_MAX": "8",
                "SLURM_ARRAY_TASK_STEP": "2",
                "SLURM_ARRAY_TASK_COUNT": "4",
            },
            (3, 4, 0),
        ),
        # two tasks in each of two elements
        (
            {
                "SLURM_ARRAY_TASK_ID": "1",
                "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_ARRAY_TASK_MAX": "1",
                "SLURM_PROCID": "1",
                "SLURM_NTASKS": "2",
            },
            (4, 4, 0),
        ),
        # torchrun inside a job: its ranks count
        ({**BATCH_STEP, "RANK": "0", "WORLD_SIZE": "2"}, (1, 2, 0)),
    ],
)
def test_environment_says_which_shard(environment, expected):
    shard = shard_from_environment(environment)
    assert (shard.number, shard.count, shard.local_rank) == expected


def test_all_processes_of_a_job_array_take_each_item_once():
    items = list(range(10))
    taken = [
        shard_from_environment(
            {
                "SLURM_ARRAY_TASK_ID": str(element),
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_MAX": "3",
                "SLURM_PROCID": str(task),
                "SLURM_NTASKS": "2",
            }
        ).take(items)
        for element in (1, 2, 3)
        for task in (0, 1)
    ]
    assert sorted(item for part in taken for item in part) == items


def test_uneven_job_array_is_refused():
    environment = {
        "SLURM_ARRAY_TASK_ID": "5",
        "SLURM_ARRAY_TASK_MIN": "1",
        "SLURM_ARRAY_TASK_MAX": "9",
        "SLURM_ARRAY_TASK_COUNT": "3",  # --array=1,5,9
    }
    with pytest.raises(InputError, match="not evenly spaced"):
        shard_from_environment(environment)


def test_variable_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="WORLD_SIZE is 'many', not a whole number"):
        shard_from_environment({"RANK": "0", "WORLD_SIZE": "many"})


def test_rank_beyond_the_world_is_refused():
    with pytest.raises(InputError, match=r"Shard 5 of 4 does not exist \(RANK and WORLD_SIZE\)"):
        shard_from_environment({"RANK": "4", "WORLD_SIZE": "4"})
