"""sample: text on stdout, from models of characters and of bytes; and predict, which reads a text on."""

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys

import numpy as np
import pytest

import flux_core
from fluxrun import exits

SPEC = """\
name: {name}
data: {{source: text, path: letters.txt, unit: {unit}, steps: 12, batch_size: 4, split: {{train: 1.0}}}}
model: [{{embedding: 8}}, {layers}, {{affine: vocab}}]
train: {{loss: cross_entropy, optimizer: {{adam: 0.02}}, epochs: {epochs}}}
"""
LINE = "abcabd\n"  # what follows ab depends on what was before it


@pytest.fixture
def write(cli, folder):
    """Train a model on lines of letters, and return its run's name."""

    def train(name="letters", unit="char", layers="{lstm: 16}", epochs=20, text=LINE * 300):
        (folder / "letters.txt").write_text(text)
        (folder / f"{name}.yaml").write_text(SPEC.format(name=name, unit=unit, layers=layers, epochs=epochs))
        done = cli("train", f"{name}.yaml", "--quiet")
        assert done.exit_code == 0, done.stderr
        return done.stdout.strip().rpartition("/")[2]

    return train


@pytest.mark.parametrize("unit", ["char", "byte"])
def test_a_pattern_goes_on(cli, write, unit):
    write(unit=unit, epochs=40)
    done = cli("sample", "last", "--prime", LINE + "ab", "--length", "40", "--temperature", "0")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (LINE * 8)[: len(LINE + "ab") + 40]
    by_chance = cli("sample", "last", "--length", "280", "--prime", LINE).stdout
    assert len(by_chance) == len(LINE) + 280
    assert by_chance.count(LINE) > 30


def test_the_options_reach_the_model(cli, folder, write):
    run = write(epochs=1)
    settings = {"length": 60, "temperature": 4.0, "top_k": 3, "seed": 4}
    options = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)]
    text = cli("sample", run, "--prime", "ab", *options).stdout
    model = flux_core.load(folder / "runs" / run)
    assert text == "ab" + "".join(flux_core.sample(model, "ab", **settings))
    for name, value in {"length": 61, "temperature": 1.0, "top_k": 4, "seed": 5}.items():
        other = "".join(flux_core.sample(model, "ab", **settings | {name: value}))
        assert "ab" + other != text, name


def test_the_defaults(cli, folder, write):
    run = write(epochs=1)
    text = cli("sample", "last").stdout
    assert text == "".join(flux_core.sample(flux_core.load(folder / "runs" / run), length=500))


def test_json(cli, write):
    run = write(unit="byte", epochs=1)
    plain = cli("sample", "last", "--prime", "é", "--length", "30")
    done = cli("sample", "last", "--prime", "é", "--length", "30", "--json")
    assert json.loads(done.stdout) == {
        "version": 1,
        "run": f"runs/{run}",
        "text": plain.stdout_bytes.decode(errors="replace"),
        "prime": "é",
        "length": 30,
        "temperature": 1.0,
        "top_k": None,
        "seed": 0,
    }


def test_bytes_come_out_as_they_are(process, write):
    write(unit="byte", epochs=1)
    done = process("sample", "last", "--prime", b"\xff\xfe".decode(errors="surrogateescape"), "--length", "900",
                   "--temperature", "1000", text=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout[:2] == b"\xff\xfe"
    assert len(done.stdout) == 902
    assert len(set(done.stdout)) > 200


def test_a_prime_from_stdin(cli, write):
    write(epochs=1)
    given = cli("sample", "last", "--prime", "abc\nab", "--length", "20").stdout
    assert cli("sample", "last", "--prime", "-", "--length", "20", input="abc\nab").stdout == given


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prime", "ab\nabX"], "error: --prime, line 2, column 3: the model has never seen the character 'X'; "),
        (["--temperature", "-1"], "temperature"),
        (["--temperature", "nan"], "temperature"),
        (["--top-k", "0"], "top-k"),
        (["--length", "-1"], "length"),
    ],
)
def test_what_is_refused(cli, write, arguments, said):
    write(epochs=1)
    done = cli("sample", "last", *arguments)
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert said in done.stderr


def test_a_model_that_reads_from_the_end(cli, folder, write):
    write(layers="{lstm: {out: 8, bidirectional: true}}", epochs=1)
    for command in (["sample", "last"], ["predict", "last", "letters.txt"]):
        done = cli(*command)
        assert (done.exit_code, done.stdout) == (exits.USAGE, "")
        assert "it reads a text from its end too" in done.stderr


def test_a_model_of_rows(cli, folder):
    cli("train", "small.yaml", "--quiet")
    done = cli("sample", "last")
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert "has not learnt from a text" in done.stderr


def test_no_run(cli, folder):
    assert cli("sample", "last").exit_code == exits.NO_INPUT


def test_symbols_come_one_by_one_and_a_closed_pipe_ends_it(folder, write):
    write(epochs=1)
    command = [sys.executable, "-m", "fluxrun", "sample", "last", "--length", "100000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert len(process.stdout.read(50)) == 50
        process.stdout.close()
        assert process.wait(30) == -signal.SIGPIPE
        assert process.stderr.read() == b""


def test_on_a_terminal_nothing_acts_and_the_last_line_ends(folder, write):
    write(unit="byte", epochs=1)
    main, other = pty.openpty()
    command = [sys.executable, "-m", "fluxrun", "sample", "last", "--length", "300", "--temperature", "1000"]
    with subprocess.Popen([*command, "--prime", "a\tb\x1b[2J"], stdout=other, stderr=subprocess.PIPE) as process:
        os.close(other)
        shown = b""
        while True:
            try:
                shown += os.read(main, 4096)
            except OSError:  # the other end is closed
                break
        assert (process.wait(30), process.stderr.read()) == (0, b"")
    os.close(main)
    text = shown.decode()
    assert text.startswith("a\tb\ufffd[2J")
    assert text.endswith("\r\n")
    assert not {c for c in text if ord(c) < 32 or ord(c) == 127} - set("\t\r\n")


def test_predict_says_what_comes_behind_each_symbol(cli, folder, write):
    write()
    (folder / "new.txt").write_text(LINE * 4)
    rows = list(csv.DictReader(io.StringIO(cli("predict", "last", "new.txt").stdout)))
    names = ["\n", *"abcd"]
    assert list(rows[0]) == ["symbol", "prediction", *(f"probability_{name}" for name in names)]
    assert "".join(row["symbol"] for row in rows) == LINE * 4
    assert "".join(row["prediction"] for row in rows[7:]) == (LINE * 4)[8:] + "a"
    assert cli("predict", "last", "new.txt", "-o", "out.npz").exit_code == 0
    with np.load(folder / "out.npz") as arrays:
        assert sorted(arrays) == ["classes", "prediction", "probability", "symbol"]
        found = arrays["probability"]
    for row, shares in zip(rows, found, strict=True):
        np.testing.assert_allclose([float(row[f"probability_{name}"]) for name in names], shares, rtol=1e-5)
    ids = [names.index(c) for c in LINE * 4]
    said = float(np.mean(-np.log2(found[np.arange(7, 27), ids[8:]])))
    assert said < 0.1, "bits a symbol"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"ab\nX", "new.txt:2: column 1: the model has never seen the character 'X'"),
        (b"", "new.txt: there is no text in it"),
        (b"ab\xff", "new.txt:1: column 3: byte 0xff is not UTF-8 text"),
    ],
)
def test_predict_of_bad_texts(cli, folder, write, content, said):
    write(epochs=1)
    (folder / "new.txt").write_bytes(content)
    done = cli("predict", "last", "new.txt")
    assert (done.exit_code, done.stdout) == (exits.BAD_DATA, "")
    assert said in done.stderr


def test_predict_of_any_bytes(cli, folder, write):
    write(unit="byte", epochs=1)
    (folder / "new.txt").write_bytes(b"a\xff\n")
    rows = list(csv.DictReader(io.StringIO(cli("predict", "last", "new.txt").stdout)))
    assert [row["symbol"] for row in rows] == ["0x61", "0xff", "0x0a"]
    assert len(rows[0]) == 258
