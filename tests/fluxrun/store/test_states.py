"""Which of its checkpoints a run goes on from."""

import numpy as np
import pytest

from flux_core.errors import CheckpointError
from flux_core.training import checkpoint
from fluxrun.store.states import latest


@pytest.fixture
def save(tmp_path):
    """Save a state of a step under a name."""
    (tmp_path / "checkpoints").mkdir()

    def saved(name, step, **meta):
        path = tmp_path / "checkpoints" / f"{name}.safetensors"
        checkpoint.write(path, {"w": np.zeros(2, np.float32)}, {"position": {"step": step}, **meta})
        return path

    return saved


def step(folder):
    state, notes = latest(folder)
    return state.meta["position"]["step"], notes


def test_the_one_with_the_most_steps_is_taken_whatever_it_is_called(tmp_path, save):
    save("step-00000900", 900)
    save("step-00001000", 1000)
    assert step(tmp_path) == (1000, [])
    save("last", 100)
    assert step(tmp_path) == (1000, [])
    save("last", 1000)
    assert step(tmp_path) == (1000, [])
    save("last", 1001)
    assert step(tmp_path) == (1001, [])


def test_what_is_damaged_gives_way_to_the_next_and_is_told(tmp_path, save):
    save("last", 100)
    save("step-00000900", 900)
    bad = save("step-00001000", 1000)
    bad.write_bytes(b"")
    found, notes = step(tmp_path)
    assert (found, len(notes)) == (900, 2)
    assert (str(bad) in notes[0], notes[1]) == (True, "going on from step-00000900.safetensors, at step 900")
    checkpoint.write(bad, {}, {"position": {}})
    assert step(tmp_path)[1][0] == f"{bad}: this is no state of a training"
    for name in ("last", "step-00000900", "step-00001000"):
        (tmp_path / f"checkpoints/{name}.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint is left to go on from"):
        latest(tmp_path)


def test_what_is_older_than_the_last_is_not_read(tmp_path, save):
    save("last", 1000)
    save("step-00000900", 900).write_bytes(b"damaged")
    assert step(tmp_path) == (1000, [])


def test_the_best_state_counts_where_it_is_whole(tmp_path, save):
    save("best", 50, part="best")
    assert latest(tmp_path) == (None, ["no state was saved yet: the run begins anew"])
    save("best", 50)
    assert step(tmp_path) == (50, []), "a run that was killed before it saved a last state"
    save("last", 40)
    assert step(tmp_path) == (50, [])
    save("last", 60)
    assert step(tmp_path) == (60, [])
    (tmp_path / "checkpoints" / "last.safetensors").write_bytes(b"")
    assert step(tmp_path)[0] == 50
