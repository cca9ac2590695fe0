"""The hash of a run: equal where the training is."""

import pytest

from fluxrun.jobs.request import Request
from fluxrun.jobs.train import prepare
from fluxrun.spec.load import to_yaml


def digest(config, *overrides, name=None):
    return prepare(Request(str(config), overrides=overrides, name=name)).digest


def test_name_and_paths_do_not_count(folder):
    first = digest("small.yaml")
    assert digest("small.yaml", name="other") == first
    (folder / "sub").mkdir()
    (folder / "sub" / "moved.csv").write_bytes((folder / "table.csv").read_bytes())
    assert digest("small.yaml", "data.path=sub/moved.csv") == first


def test_defaults_written_out_do_not_count(folder):
    first = digest("small.yaml")
    assert digest("small.yaml", "train.loss=cross_entropy", "train.metrics=[accuracy]", "data.shuffle=true") == first
    (folder / "resolved.yaml").write_text(to_yaml(prepare(Request("small.yaml")).built.spec))
    assert digest("resolved.yaml") == first


@pytest.mark.parametrize(
    "change",
    ["seed=4", "train.epochs=4", "model.0.affine.out=7", "train.optimizer.adam.beta1=0.8", "data.batch_size=9"],
)
def test_what_changes_the_training_counts(folder, change):
    assert digest("small.yaml", change) != digest("small.yaml")


def test_the_data_count(folder):
    first = digest("small.yaml")
    table = folder / "table.csv"
    table.write_text(table.read_text().replace("1,5,a", "1,6,a", 1))
    assert digest("small.yaml") != first
