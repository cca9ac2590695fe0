"""--where: which runs a condition means, and what is no condition; nothing is ever evaluated."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxrun.jobs.compare import compare
from fluxrun.jobs.where import Condition, matching
from fluxrun.spec.key import join
from fluxrun.spec.problems import SpecError
from fluxrun.store.listing import Run
from fluxrun.store.names import Names, UnknownName


def run(name, status="finished", best=None, spec=None, **values):
    return Run(Path("runs") / name, {"status": status, "best": best or {}, "spec": spec or {}, **values})


ADAM = {
    "name": "a-b",
    "seed": 1,
    "train.optimizer": "adam",
    "train.optimizer.adam.learning_rate": 0.01,
    "train.loss": "mse",
    "model.0": "affine",
    "model.0.affine.out": 64,
    "model.2.affine.out": 10,
    "data.shuffle": True,
    "data.missing": ["", "NA"],
    "train.clip_norm": None,
    "data.größe": 3,
    "data.columns": {},
}
SGD = {
    **{path: value for path, value in ADAM.items() if "optimizer" not in path},
    "seed": 2,
    "data.shuffle": False,
    "train.optimizer": "sgd",
    "train.optimizer.sgd.learning_rate": 1e-5,
}
BEST = {"valid.loss": 0.1, "valid.accuracy": 0.9, "train.loss": 0.3}
RUNS = [
    run("a", best=BEST, spec=ADAM, epochs=3, reason="early_stop"),
    run("b", best={name: value * 1.4 for name, value in BEST.items()}, spec=SGD, epochs=9),
    run("c", status="failed", spec=ADAM | {"seed": 3}, epochs=0),
]

MEANT = [
    ("status == finished", "ab"),
    ("status != 'finished'", "c"),
    ("status==failed or seed==1", "ac"),
    ("learning_rate < 0.001", "b"),
    ("learning_rate<0.001 and status==finished", "b"),
    ("adam.learning_rate > 0", "ac"),
    ("train.optimizer.sgd.learning_rate > 0", "b"),
    ("optimizer == adam", "ac"),
    ("optimizer in (sgd, adam) and not seed == 1", "bc"),
    ("optimizer not in ['sgd']", "ac"),
    ("'da' in optimizer", "ac"),
    ("'NA' in data.missing", "abc"),
    ("model.0.affine.out >= 64", "abc"),
    ("0.affine.out >= 64", None),
    ("model.0 == affine", "abc"),
    ("valid.loss < valid.accuracy", "ab"),
    ("0.05 < valid.loss <= 0.1", "a"),
    ("valid.loss > -1", "ab"),
    ("not valid.loss < 9", "c"),
    ("valid.loss == null", "c"),
    ("valid.loss != None", "ab"),
    ("reason == 'early_stop'", "a"),
    ("reason != early_stop", "bc"),
    ("clip_norm == null", "abc"),
    ("clip_norm < 3", ""),
    ("data.shuffle", "ac"),
    ("not shuffle", "b"),
    ("shuffle == false", "b"),
    ("epochs > 3", "b"),
    ("train.loss < 0.35", "a"),
    ("spec.train.loss == mse", "abc"),
    ("run == 'b'", "b"),
    ("name == 'a-b'", "abc"),
    ("größe == 3", "abc"),
    ("  seed\n== 2 ", "b"),
    ("seed in (1, 3,)", "ac"),
    ("((seed == 1)) or ((seed) == 2)", "ab"),
    ("'a.b' == name", ""),
    ("'a-b' == name", "abc"),
    ("name == zzz", ""),
    ("name != zzz", "abc"),
    ("optimizer in (adam, seed)", "ac"),
    ("run == seed", ""),
    ("optimizer in missing", ""),
]


@pytest.mark.parametrize(("text", "names"), MEANT)
def test_what_is_meant(text, names):
    if names is None:
        with pytest.raises(SpecError):
            Condition(text, Names(RUNS))
    else:
        found = matching(RUNS, Condition(text, Names(RUNS)))
        assert "".join(one.name for one in found) == names


def test_a_key_in_quotes_is_a_part_of_a_name():
    kinds = {"a.b": "numeric", 'q"t.v': "categorical", "in come": "numeric"}
    one = run("a", spec={join(["data", "columns", key]): kind for key, kind in kinds.items()})
    names = Names([one])
    for key, kind in kinds.items():
        path = join(["data", "columns", key])
        assert names.key(path).of(one) == names.key(names.short(path)).of(one) == kind
        for name in (path, names.short(path), f"spec.{path}"):
            assert matching([one], Condition(f"{name} == {kind}", names)) == [one]
            assert matching([one], Condition(f'{name} != "{kind}"', names)) == []
    assert names.short('data.columns."a.b"') == 'columns."a.b"', "b is no name of it, and a text in quotes is a text"
    with pytest.raises(SpecError, match="no run has a value"):
        Condition("b == numeric", names)


def test_a_column_of_a_comparison_has_a_name_that_a_condition_takes():
    runs = [run(kind, spec={'data.columns."a.b"': kind, "seed": 1}) for kind in ("numeric", "categorical")]
    assert [key.name for key in compare(runs).telling()] == ['columns."a.b"']


NOTES = [
    ("status == finised", "no run has 'finised' as its status; did you mean 'finished'?"),
    ("optimizer in (adam, sgdd)", "no run has 'sgdd' as its optimizer; did you mean 'sgd'?"),
    (
        "epochs != best_epoch",
        "no run has 'best_epoch' as its epochs; best_epoch is a text here, not the value of this name",
    ),
    ("name == zzz", None),
    ("name == 'a-c'", None),
    ("optimizer == sgd or status == failed", None),
]


@pytest.mark.parametrize(("text", "note"), NOTES)
def test_a_word_that_no_run_has_is_a_text_all_the_same(text, note):
    assert Condition(text, Names(RUNS)).notes == ([note] if note else [])
    assert Condition(text, Names([])).notes == []


def test_planted_reversal_is_caught(monkeypatch):
    import ast
    import operator

    monkeypatch.setitem(__import__("fluxrun.jobs.where", fromlist=["ORDERS"]).ORDERS, ast.Lt, operator.ge)
    with pytest.raises(AssertionError):
        test_what_is_meant("learning_rate < 0.001", "b")


WRONG = [  # text, words, the characters under the caret
    ("", "this is no condition", ""),
    ("seed <", "this is no condition", ""),
    ("seed = 1", "'=' compares nothing: write ==", "="),
    ("name == 'a=b' and seed = 1", "'=' compares nothing: write ==", "="),
    ("seeed < 1", "did you mean 'seed'?", "seeed"),
    ("seed<1 and learning_rat<1", "did you mean 'learning_rate'?", "learning_rat"),
    ("größe<1 and lerning_rate<1", "did you mean 'learning_rate'?", "lerning_rate"),
    ("out > 3", "write one of: model.0.affine.out, model.2.affine.out", "out"),
    ("accuracy > 0.5 and loss < 1", "write one of: spec.train.loss, train.loss, valid.loss", "loss"),
    ("status > 3", "text and a number have no order", "3"),
    ("seed + 1 > 3", "here belongs a name, a number or a 'text'", "seed + 1"),
    ("__import__('os').system('true')", "here belongs a comparison", "__import__('os').system('true')"),
    ("seed == __import__('os')", "here belongs a name", "__import__('os')"),
    ("(lambda: 1)() == 1", "here belongs a name", "(lambda: 1)()"),
    ("[x for x in seed] == 1", "here belongs a name", "[x for x in seed]"),
    ("seed[0] == 1", "here belongs a name", "seed[0]"),
    ("f'{seed}' == 1", "here belongs a name", "f'{seed}'"),
    ("b'x' == name", "here belongs a name", "b'x'"),
    ("seed is 1", "'is' compares nothing", "1"),
    ("seed", "seed is a number: compare it with something", "seed"),
    ("not name", "name is text", "name"),
    ("missing", "missing is a list", "missing"),
    ("columns < 3", "a map and a number have no order", "3"),
    ("3", "here belongs a comparison", "3"),
    ("(" * 500 + "seed" + ")" * 500, "this is no condition", None),
    ("not " * 5000 + "seed", "this is no condition", None),
    ("seed == " + "9" * 5000, "this is no condition", None),
    ("seed == 1\0", "this is no condition", None),
]


@pytest.mark.parametrize(("text", "words", "under"), WRONG)
def test_what_is_none_is_told_at_its_place(text, words, under):
    names = Names(RUNS)
    with pytest.raises(SpecError) as caught:
        matching(RUNS, Condition(text, names))
    (problem,) = caught.value.problems
    assert words in f"{problem.message}: {problem.hint}"
    if under:
        assert text[problem.place.column : problem.place.end] == under


def test_without_runs_only_the_grammar_counts():
    assert Condition("anything < 1", Names([])).keys == []
    with pytest.raises(SpecError):
        Condition("anything <", Names([]))


PIECES = [
    "seed",
    "status",
    "loss",
    "model.0.affine.out",
    "ü",
    "<",
    "==",
    "in",
    "and",
    "or",
    "not",
    "(",
    ")",
    "1",
    "'x'",
]
PIECES += [",", "[", "]", "-", "1e-3", "finished", ".", "is", "null", "lambda", ":", "{", "}", "=", "\\", '"', "\n"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=30))
def test_no_text_is_more_than_an_error(text):
    try:
        found = matching(RUNS, Condition(text, Names(RUNS)))
    except SpecError:
        return
    assert set(map(id, found)) <= set(map(id, RUNS))


def test_short_names_stand_for_their_paths_alone():
    names = Names(RUNS)
    for path in names.paths:
        short = names.short(path)
        key = names.key(short)
        assert path in key.paths
        assert len(short) <= len(f"spec.{path}")
    assert names.short("train.optimizer.adam.learning_rate") == "adam.learning_rate"
    assert names.short("train.loss") == "spec.train.loss"
    assert names.short("model.0.affine.out") == "model.0.affine.out"
    with pytest.raises(UnknownName, match="several"):
        names.key("out")
