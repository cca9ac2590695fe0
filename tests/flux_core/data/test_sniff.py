"""Separators and headers of many tables."""

import pytest

from flux_core.data.sniff import Dialect, sniff
from flux_core.errors import DataError, MissingFile

TABLES = {
    "a,b\n1,2\n3,4\n": (",", True),
    "1,2\n3,4\n": (",", False),
    "a;b;c\n1,5;2,5;x\n3,5;4,5;y\n": (";", True),
    "a\tb c\td\n1\t2 3\tx\n": ("\t", True),
    "1|2|3\n4|5|6\n": ("|", False),
    '"x, y","z"\n"1, 2","3"\n"4, 5","6"\n': (",", True),
    "\n\n a , b \n 1 , 2 \n": (",", True),
    "age,,y\n1,2,3\n": (",", True),
    ",a,b,y\n0,1,2,u\n1,2,3,v\n2,2,3,u\n": (",", True),
    "a,,ziel\n1,2,u\n2,3,v\n": (",", True),
    ",kind\nx,u\ny,v\n": (",", True),
    ",0,1\n0,0.5,0.2\n1,0.1,0.3\n": (",", True),
    ",0,1\n7,0.5,0.2\n4,0.1,0.3\n": (",", False),
    "2019,2020,y\n" + "1,2,u\n3,4,v\n" * 9: (",", True),
    "19.5,20,y\n" + "1,2,u\n3,4,v\n" * 9: (",", False),
    "19,20,u\n" + "1,2,u\n3,4,v\n" * 9: (",", False),
    "19,20,anna\n1,2,bert\n3,4,carla\n5,6,dora\n": (",", False),
    "19,,u\n" + "1,2,u\n3,4,v\n" * 9: (",", False),
    "null,5.1,u\n" + "1,2,u\n3,4,v\n" * 9: (",", False),
    "id,2019,2020\nx,1,2\ny,3,4\n": (",", False),
    "?,u\nx,u\ny,v\n": (",", False),
    "a,a\n1,2\n": (",", False),
    "2001,2002\n1,2\n": (",", False),
    "red,big\nblue,small\nred,small\nblue,big\n": (",", False),
    "colour,size\nblue,small\nred,small\nblue,big\n": (",", True),
    "only\n1\n2\n": (",", True),
    "a,b\n": (",", True),
    "a;b;y\n1,5;2,5;3,5\n4,5;5,5;6,5\n": (";", True),
    "\ufeffa,b\n1,2\n": (",", True),
    "a,b\n1,?\nNA,4\n": (",", True),
    'a;note\n1;"x;y;z"\n2;"p, q"\n3;plain\n': (";", True),
}


@pytest.mark.parametrize("text", TABLES, ids=[repr(text)[:40] for text in TABLES])
def test_tables(tmp_path, text):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert sniff(tmp_path / "a.csv") == Dialect(*TABLES[text])


def test_a_target_in_the_first_line_makes_it_the_header(tmp_path):
    (tmp_path / "a.csv").write_text("red,big\nblue,small\nred,small\n")
    assert not sniff(tmp_path / "a.csv").header
    assert sniff(tmp_path / "a.csv", "big").header


def test_only_the_start_of_a_large_file_is_read(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 100_000 + "é;" * 10, encoding="utf-8")
    assert sniff(tmp_path / "a.csv") == Dialect(",", True)


def test_lines_that_are_longer_than_what_is_looked_at(tmp_path):
    width = 40_001
    head = ",".join(f"column{i}" for i in range(width))
    (tmp_path / "a.csv").write_text(f"{head}\n" + (",".join("7" * width) + "\n") * 9)
    assert sniff(tmp_path / "a.csv") == Dialect(",", True)
    (tmp_path / "a.csv").write_text((";".join(["1.234567"] * width) + "\n") * 9)
    assert sniff(tmp_path / "a.csv") == Dialect(";", False)


def test_no_table(tmp_path):
    with pytest.raises(MissingFile):
        sniff(tmp_path / "a.csv")
    for content, text in (
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"a,\n\xff\n", "a.csv:2: column 1: byte 0xff is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
    ):
        (tmp_path / "a.csv").write_bytes(content)
        with pytest.raises(DataError, match=text):
            sniff(tmp_path / "a.csv")
