"""fluxrun warmup and doctor: kernels ahead of time, and what is said about a store that has something wrong."""

import json

import pytest
from threadpoolctl import threadpool_limits

from flux_core.engine.folder import INDEX, folder_name
from flux_core.engine.store import default_store
from flux_core.engine.tape import kernels_of
from flux_core.training import on_tape
from fluxrun import exits
from fluxrun.jobs import warmup
from fluxrun.jobs.graph import graph_stages


@pytest.fixture(scope="module")
def known():
    """The keys of all kernels that are known ahead."""
    return set(warmup.known_kernels())


@pytest.fixture
def cache(folder, monkeypatch):
    """A kernel store of its own for one test."""
    monkeypatch.setenv("FLUXRUN_CACHE", str(folder / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "other"))
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    default_store.cache_clear()
    with threadpool_limits(1, "blas"):  # as `run` does in a process of its own
        yield folder / "cache"
    default_store.cache_clear()


@pytest.fixture
def few(monkeypatch):
    """Only three kernels are known ahead."""
    kernels = dict(list(warmup.known_kernels().items())[:3])
    monkeypatch.setattr(warmup, "known_kernels", lambda: kernels)
    return list(kernels)


def lowered(monkeypatch, config, *overrides):
    """The keys of the kernels of a training, nothing compiled."""
    found = set()
    assembled = on_tape.TapeEngine._assembled

    def note(engine, types, training):
        made = assembled(engine, types, training)
        found.update(kernel.key for kernel in kernels_of((*made.before, *made.after)))
        return made

    monkeypatch.setattr(on_tape.TapeEngine, "_assembled", note)
    assert len(list(graph_stages(str(config), overrides, config.parent))) == 8
    return found


@pytest.mark.parametrize("name", ["digits", "iris", "diabetes", "spirals", "xor", "forecast", "char_rnn"])
def test_the_examples_need_only_what_is_known_ahead(configs, monkeypatch, known, name):
    assert lowered(monkeypatch, configs / f"{name}.yaml") <= known


ARCHITECTURES = [
    "[{affine: 300}, relu, {affine: 200}, relu, {affine: 100}, tanh, {affine: 10}]",
    "[{affine: {out: 64, bias: false}}, gelu, {dropout: 0.2}, {affine: 64}, silu, {dropout: 0.3}, {affine: 10}]",
    "[{affine: 32}, {leaky_relu: 0.3}, {affine: 32}, {elu: 2.0}, {affine: 32}, softplus, {affine: 10}]",
    "[{reshape: [8, 8]}, {affine: 16}, sigmoid, flatten, {affine: 10}]",
]


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_a_new_architecture_needs_only_what_is_known_ahead(configs, monkeypatch, known, model):
    wanted = [f"model={model}", "train.optimizer=nesterov", "train.clip_norm=1", "data.batch_size=50"]
    assert lowered(monkeypatch, configs / "digits.yaml", *wanted) <= known
    # an activation behind an activation is one formula that nobody foresaw
    odd = ["model=[{affine: 5}, tanh, gelu, softplus, {affine: 10}]"]
    assert not lowered(monkeypatch, configs / "digits.yaml", *odd) <= known


@pytest.mark.parametrize("steps", [3, 40])
@pytest.mark.parametrize(
    "layer", ["lstm: 20", "gru: {out: 20, layers: 3, dropout: 0.1}", "recurrent: {out: 7, bidirectional: true}"]
)
def test_recurrent_layers_need_only_what_is_known_ahead(folder, monkeypatch, known, layer, steps):
    (folder / "a.txt").write_text("to be or not to be " * 200)
    (folder / "r.yaml").write_text(f"""
data: {{source: text, path: a.txt, steps: {steps}, batch_size: 5}}
model: [{{onehot: vocab}}, {{{layer}}}, {{affine: vocab}}]
train: {{loss: cross_entropy, optimizer: adam, epochs: 1}}
""")
    assert lowered(monkeypatch, folder / "r.yaml") <= known


def test_warmup_compiles_once(cli, cache, few):
    first = cli("warmup")
    assert first.exit_code == 0
    assert first.stdout == f"{cache / folder_name()}\n"
    assert first.stderr == "compiling 3 kernels, once on this machine\n3 kernels compiled, 0 present\n"
    assert set(json.loads((cache / folder_name() / INDEX).read_text())) == set(few)
    default_store.cache_clear()
    assert cli("warmup").stderr == "0 kernels compiled, 3 present\n"
    damaged = cache / folder_name() / f"{few[0]}.o"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    default_store.cache_clear()
    again = cli("warmup", "--json")
    assert json.loads(again.stdout) == {
        "version": 1,
        "folder": str(cache / folder_name()),
        "compiled": 1,
        "present": 2,
    }


@pytest.mark.filterwarnings("default")
def test_warmup_without_a_place_to_keep_anything(cli, cache, few, monkeypatch):
    monkeypatch.setattr("flux_core.engine.store.store_folder", lambda: None)
    default_store.cache_clear()
    done = cli("warmup")
    assert (done.exit_code, done.stdout) == (exits.CANNOT_CREATE, "")
    assert "no folder for compiled kernels can be written to" in done.stderr


def examined(cli, code=0):
    done = cli("doctor", "--json")
    assert done.exit_code == code, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] == (code == 0)
    return found


def test_a_sound_place(cli, cache, few):
    found = examined(cli)
    assert [problem["next"] for problem in found["problems"]] == ["fluxrun warmup"], "nothing is compiled yet"
    cli("warmup")
    found = examined(cli)
    assert found["problems"] == []
    assert set(found["versions"]) >= {"python", "numpy", "numba", "llvmlite", "scipy"}
    assert all(found["versions"].values())
    assert found["cpu"]["usable_cores"] >= 1
    assert found["store"]["folder"] == str(cache / folder_name())
    assert found["store"]["kernels"] >= 3
    assert found["store"]["bytes"] > 1000
    text = cli("doctor")
    assert text.exit_code == 0
    assert text.stderr == "ok\n"
    for line in ("versions", "cpu", "blas", "store", "  writable      yes"):
        assert line in text.stdout.splitlines()


def test_what_is_damaged_or_outdated_is_told(cli, cache, few):
    cli("warmup")
    (cache / folder_name() / f"{few[0]}.o").write_bytes(b"")
    (cache / "py3.0.0-numba0-0").mkdir()
    (cache / "py3.0.0-numba0-0" / INDEX).write_text("{}")
    found = examined(cli)
    assert found["problems"][0]["what"].startswith("1 of ")
    assert "damaged" in found["problems"][0]["what"]
    assert found["problems"][1]["what"] == f"1 folder in {cache} is of another version or another CPU"


def test_a_place_of_somebody_else_is_told(cli, cache, folder):
    cache.mkdir(mode=0o777)
    cache.chmod(0o777)
    (problem, *_) = examined(cli, exits.BUG)["problems"]
    assert problem["broken"]
    assert f"{cache} belongs to someone else, is a link, or can be written to by others" in problem["what"]
    assert "chmod go-w" in problem["next"]
    assert cli("doctor").stderr.startswith("error: a place for kernels is passed over")


def test_no_place_at_all_is_told(cli, cache, monkeypatch):
    monkeypatch.setattr("flux_core.engine.health.candidates", list)
    found = examined(cli, exits.BUG)
    assert found["store"]["folder"] is None
    assert "every process compiles its own" in found["problems"][0]["what"]


def test_kernels_of_blas_that_somebody_chose_are_told(cli, cache, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    assert "OPENBLAS_CORETYPE=Prescott chooses" in examined(cli)["problems"][0]["what"]


def test_what_cannot_be_examined_is_told(cli, cache, monkeypatch):
    def fail(*_):
        raise ImportError("no such library")

    monkeypatch.setattr("flux_core.engine.blas.sgemm_address", fail)
    monkeypatch.setattr("fluxrun.jobs.doctor.version_of", lambda name: None if name == "numba" else "1")
    what = [problem["what"] for problem in examined(cli, exits.BUG)["problems"]]
    assert what[:2] == ["numba is not installed", "BLAS cannot be examined: ImportError: no such library"]


def test_a_wrong_result_is_told(cli, cache, monkeypatch):
    monkeypatch.setattr("flux_core.engine.health.self_test", lambda: "1 + 1 is 3")
    what = [problem["what"] for problem in examined(cli, exits.BUG)["problems"]]
    assert "the engine computes wrongly: 1 + 1 is 3" in what


def test_the_engine_tests_itself_against_numpy(monkeypatch):
    from flux_core.engine import compiled
    from flux_core.engine.health import self_test

    assert self_test() is None
    called = compiled.Compiled.__call__
    monkeypatch.setattr(compiled.Compiled, "__call__", lambda *a: called(*a) + 0.5)
    assert "away from what NumPy says" in self_test()


@pytest.mark.filterwarnings("default")
def test_a_store_that_keeps_nothing_is_a_line_of_the_training(cli, folder, monkeypatch):
    default_store.cache_clear()
    monkeypatch.setattr("flux_core.engine.store.store_folder", lambda: None)
    done = cli("train", "small.yaml", "--max-steps", 1)
    default_store.cache_clear()
    assert done.exit_code == 0
    (line,) = [line for line in done.stderr.splitlines() if "no folder for compiled kernels" in line]
    assert line.startswith("warning: no folder")
