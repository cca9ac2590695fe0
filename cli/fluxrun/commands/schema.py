"""fluxrun schema: the JSON Schema of specs, for editors."""

from __future__ import annotations

from fluxrun.commands.guard import Debug, guard

EXAMPLES = """Examples:\n
\b
  fluxrun schema
  fluxrun schema > fluxrun.schema.json
\b
A spec that begins with this line is completed and checked as it is written:
  # yaml-language-server: $schema=fluxrun.schema.json
"""


def schema(debug: Debug = False) -> None:
    """Print the JSON Schema of specs, for editors. It is of the draft 2020-12."""

    def work() -> int:
        import json

        from fluxrun.spec.json_schema import json_schema

        print(json.dumps(json_schema(), indent=1))
        return 0

    guard(work, debug)
