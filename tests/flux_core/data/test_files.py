"""What data files may be."""

import os
import socket
from pathlib import Path

import pytest

from flux_core.data.files import open_file
from flux_core.errors import MissingFile


def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for somebody who writes
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").write_bytes(b"content")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path, what in [
            (tmp_path, "a folder, not"),
            (tmp_path / "pipe", "a pipe, not"),
            (tmp_path / "socket", "a socket, not"),
            (Path("/dev/zero"), "a device, not"),
            (tmp_path / "loop", "symbolic links"),
            (tmp_path / "file" / "in", "Not a directory"),
            (tmp_path / ("n" * 300), "too long"),
            (Path("a\0b"), "cannot be opened: embedded null"),
        ]:
            with pytest.raises(MissingFile, match=what):
                open_file(path)
    with open_file(tmp_path / "link") as file:
        assert file.read() == b"content"
