"""Plain scalars by the core schema of YAML 1.2: what PyYAML, which reads 1.1, sees differently.

1e-3 is a number    010 is ten    no, on and 12:30:45 are texts
"""

from __future__ import annotations

import re

from fluxrun.spec.tree import Value

WORDS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER = re.compile(r"[-+]?[0-9]+")
OCTAL, HEXADECIMAL = re.compile(r"0o[0-7]+"), re.compile(r"0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def scalar(text: str) -> Value:
    """A plain scalar by the core schema of YAML 1.2.

    >>> scalar("1e-3"), scalar("010"), scalar("no"), scalar("~"), scalar("0x1F"), scalar("12:30:45")
    (0.001, 10, 'no', None, 31, '12:30:45')
    """
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if OCTAL.fullmatch(text) or HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if FLOAT.fullmatch(text):
        return float(text)
    if SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text
