"""Paths of values as `--set` takes them, and the parts that they are made of.

    train.optimizer.adam.beta1     ◀──▶   train, optimizer, adam, beta1
    data.columns."a.b"             ◀──▶   data, columns, a.b
    data.columns."5"" wide"        ◀──▶   data, columns, 5" wide

What could not be part of a name of Python stands in quotes, so that a path is one name of a condition, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

QUOTED = r'"(?:[^"]|"")*"'
PART = re.compile(rf"\s*{QUOTED}\s*(?=[.=]|\Z)|[^.=]*")  # in quotes it may hold dots and equals signs


def cut(text: str) -> tuple[list[tuple[str, int]], int]:
    """The parts of a path as written, with the columns where they begin, and where its equals sign stands, or the end.

    >>> cut('data.columns."a.b"=numeric')
    ([('data', 0), ('columns', 5), ('"a.b"', 13)], 18)
    """
    parts, column = [], 0
    while found := PART.match(text, column):
        parts.append((found[0], column))
        column = found.end()
        if text[column : column + 1] != ".":
            break
        column += 1
    return parts, column


def split(path: str) -> list[str]:
    """The keys along a path; an equals sign out of quotes, which no path has, stays in the last.

    >>> split('data.columns."a.b"'), split("epochs=3")
    (['data', 'columns', 'a.b'], ['epochs=3'])
    """
    parts, end = cut(path)
    keys = [unquoted(part) for part, _ in parts]
    return [*keys[:-1], keys[-1] + path[end:]]


def join(keys: Iterable[str]) -> str:
    """The path along keys.

    >>> join(["data", "columns", "a.b"])
    'data.columns."a.b"'
    """
    return ".".join(map(quoted, keys))


def quoted(key: str) -> str:
    """A key as it stands in a path.

    >>> print(quoted("age"), quoted("0"), quoted("a.b"), quoted("a-b"), quoted('5" wide'))
    age 0 "a.b" "a-b" "5"" wide"
    """
    return key if f"_{key}".isidentifier() else '"' + key.replace('"', '""') + '"'


def unquoted(part: str) -> str:
    """The key that a part of a path stands for.

    >>> unquoted(' "a.b" '), unquoted('"5"" wide"'), unquoted('5"')
    ('a.b', '5" wide', '5"')
    """
    part = part.strip()
    return part[1:-1].replace('""', '"') if re.fullmatch(QUOTED, part) else part
