"""fluxrun doctor: what trainings stand on here, and what is wrong with it."""

from __future__ import annotations

from typing import Any

from fluxrun.commands.answer import Json, print_json
from fluxrun.commands.guard import Debug, guard

EXAMPLES = """Examples:\n
\b
  fluxrun doctor
  fluxrun doctor --json
"""


def doctor(as_json: Json = False, debug: Debug = False) -> None:
    """Show versions, CPU, BLAS and the kernel store. Exit code 1 if something is broken."""

    def work() -> int:
        from fluxrun import exits
        from fluxrun.jobs.doctor import examine
        from fluxrun.render.stream import say
        from fluxrun.spec.text import visible

        report = examine()
        if as_json:
            print_json(report.to_json())
        else:
            for topic, facts in report.facts.items():
                print(topic)
                for name, value in facts.items():
                    print(f"  {name.replace('_', ' '):<13} {visible(_shown(value))}")
        for finding in report.findings:
            what = "error" if finding.broken else "note"
            say(f"{what}: {visible(finding.what)}\n  next: {visible(finding.next)}")
        if report.ok and not as_json:
            say("ok")
        return exits.OK if report.ok else exits.BUG

    guard(work, debug)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(value) or "none"
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if value is None else str(value)
