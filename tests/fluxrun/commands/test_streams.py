"""Standard streams as scripts leave them: closed, full, pipes in place of files, locales that know few characters."""

import errno
import json
import os
import shlex
import subprocess
import sys

import pytest

from fluxrun import exits, main
from fluxrun.render.stream import named

FLUXRUN = f"{shlex.quote(sys.executable)} -m fluxrun"


@pytest.fixture
def shell(folder):
    """Run a line of bash in which `fluxrun` stands for the command: .returncode, .stdout, .stderr."""

    def run(line, **environ):
        line = line.replace("fluxrun ", f"{FLUXRUN} ")
        env = {**os.environ, **environ}
        return subprocess.run(["bash", "-c", line], capture_output=True, timeout=120, env=env, check=False)

    return run


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("fluxrun check - <&-", exits.USAGE, b"the spec is empty"),
        ("fluxrun show small.yaml >&-", exits.OK, b""),
        ("fluxrun ls --json >&-", exits.OK, b""),
        ("fluxrun check none.yaml 2>&-", exits.NO_INPUT, b""),
        ("fluxrun rm --where 'status==finished' <&- >&-", exits.OK, b"no runs"),
        ("fluxrun train small.yaml <&- >&- 2>&-", exits.OK, b""),
        ("fluxrun ls --json >/dev/full", exits.IO_ERROR, b"error: stdout: No space left on device\n"),
        ("fluxrun ls --help >/dev/full", exits.IO_ERROR, b"error: stdout: No space left on device\n"),
        ("fluxrun --version >/dev/full", exits.IO_ERROR, b"error: stdout: No space left on device\n"),
        ("fluxrun check small.yaml 2>/dev/full", exits.OK, b""),
    ],
)
def test_streams_that_are_closed_or_full(shell, folder, line, code, said):
    done = shell(line)
    assert (done.returncode, done.stdout) == (code, b""), done.stderr
    assert said in done.stderr
    assert b"bug" not in done.stderr
    if line.startswith("fluxrun train"):
        (run,) = (folder / "runs").iterdir()
        assert json.loads((run / "run.json").read_text())["status"] == "finished"


def test_a_closed_stream_that_stays_closed_is_caught(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    main._fill_closed()
    with sys.stdout as filled:
        print("into the void")
        filled.flush()
        assert os.path.samestat(os.fstat(filled.fileno()), os.stat(os.devnull))


def test_errors_of_stdout_have_its_name():
    with open("/dev/full", "w", encoding="latin-1") as full:
        out = named(full, "strict")
        out.write("ü" * 9)
        with pytest.raises(OSError, match="stdout") as caught:
            out.flush()
        assert (caught.value.errno, out.encoding, full.closed) == (errno.ENOSPC, "latin-1", False)
        out.close()  # tries again, and nothing is raised twice


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_result_is_written_at_once(shell, folder, unbuffered):
    shell("fluxrun train small.yaml --quiet")
    code = (
        "import sys\nfrom fluxrun import main\nfrom fluxrun.render import stream\n"
        "def write(self, data): sys.stderr.write(repr(bytes(data)) + '\\n'); return len(data)\n"
        "stream.Stdout.write = write\n"
        "sys.argv = ['fluxrun', 'train', 'small.yaml', '--quiet', '--if-missing']\nmain.run()\n"
    )
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=env, check=True)
    (run,) = (folder / "runs").iterdir()
    assert done.stderr == f"b'runs/{run.name}\\n'\n"


def test_a_spec_through_a_pipe(shell):
    done = shell(
        "fluxrun show <(cat small.yaml) --json && fluxrun graph <(cat small.yaml) --after fuse 2>&1 | tail -n 1"
    )
    assert json.loads(done.stdout.splitlines()[0])["spec"]["name"] == "small"
    assert b"no config" not in done.stdout + done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_locale_cannot_say_comes_out_in_utf_8(shell, folder, encoding):
    (folder / "new.csv").write_text("x,y,größe\n1,2,数\n", encoding="utf-8")
    done = shell("fluxrun train small.yaml --quiet && fluxrun predict last new.csv", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("x,y,größe,prediction".encode())
    assert done.stdout.splitlines()[2].startswith("1,2,数,".encode())
    (folder / "数.yaml").write_text((folder / "small.yaml").read_text().replace("table.csv", "数.csv"))
    (folder / "数.csv").write_text((folder / "table.csv").read_text())
    done = shell("fluxrun show 数.yaml", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert "数.csv".encode() in done.stdout


def test_a_path_that_the_locale_cannot_write(shell, folder):
    (folder / "small.yaml").write_text((folder / "small.yaml").read_text().replace("table.csv", "größe.csv"))
    done = shell("fluxrun check small.yaml", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == exits.USAGE
    assert b"error: the locale's encoding (ascii) has no way to write this path" in done.stderr
    assert b"set LC_ALL=C.UTF-8" in done.stderr


def test_a_link_into_the_void_is_not_proposed(cli, folder):
    (folder / "smal.yaml").symlink_to("nowhere")
    done = cli("check", "smal.yaml")
    assert (done.exit_code, "did you mean 'small.yaml'?" in done.stderr) == (exits.NO_INPUT, True)
    (folder / "tabel.csv").symlink_to("nowhere")
    done = cli("init", "--from", "tabel.csv", "--target", "kind")
    assert (done.exit_code, "did you mean 'table.csv'?" in done.stderr) == (exits.NO_INPUT, True)
