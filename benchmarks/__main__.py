"""The command.

    python -m benchmarks [--part throughput|steps|adam|startup]... [--work NAME]... [--threads N]... [--peer NAME]...
                         [--repeats N] [--rounds N] [--quick] [--workloads FILE] [--json FILE]

Tables go to stdout, what is being measured to stderr; the JSON file holds everything and is written after each part.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import adam, startup, steps, throughput
from benchmarks.machine import described, machine
from benchmarks.peers import PEERS, present
from benchmarks.process import usable_cores
from benchmarks.spec import trainable
from benchmarks.workload import WORKLOADS, Workload, load

PARTS = ("throughput", "steps", "adam", "startup")
REPEATS, ROUNDS = 5, 5


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    many: dict[str, Any] = {"action": "append", "metavar": "NAME"}
    parser.add_argument("--part", choices=PARTS, help="only this part; repeatable", **many)
    parser.add_argument("--work", help="only this workload, or these: tiny,mlp; repeatable", **many)
    parser.add_argument("--peer", choices=[*PEERS, "none"], help="only this peer, or none; repeatable", **many)
    parser.add_argument("--threads", type=int, action="append", metavar="N", help="cores; repeatable (default 1, 2)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"processes for each side (default {REPEATS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rates in each process (default {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="one process, two rounds: does it work?")
    parser.add_argument("--workloads", type=Path, default=WORKLOADS, help="a file like workloads.json")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    found = parser.parse_args(arguments)
    if found.quick:
        found.repeats, found.rounds = 1, 2
    found.work = [name for names in found.work or () for name in names.split(",")]
    cores = usable_cores()
    found.threads = found.threads or [n for n in (1, 2) if n <= cores]
    if min(found.repeats, found.rounds, *found.threads) < 1:
        parser.error("--repeats, --rounds and --threads are at least 1")
    if max(found.threads) > cores:
        parser.error(f"--threads {max(found.threads)}: there are {cores} cores")
    return found


def chosen(options: argparse.Namespace) -> list[Workload]:
    """The workloads asked for; ends the program for a name that there is not."""
    works = load(options.workloads)
    unknown = set(options.work) - set(works)
    if unknown:
        sys.exit(f"no workload {', '.join(sorted(unknown))} in {options.workloads}: there are {', '.join(works)}")
    return [works[name] for name in options.work or works]


def main(arguments: list[str] | None = None) -> None:
    """Measure what was asked for."""
    options = parsed(arguments)
    works = chosen(options)
    peers = [peer for peer in present() if peer in (options.peer or PEERS)]
    parts = options.part or PARTS
    found: dict[str, Any] = {"machine": machine(), "repeats": options.repeats, "rounds": options.rounds}
    print(described(found["machine"]))
    print(f"Medians of {options.repeats} processes a side, taken in turns, {options.rounds} rounds in each.")
    with tempfile.TemporaryDirectory() as folder:
        settings = throughput.Settings(options.repeats, options.rounds, Path(folder), options.workloads, _say)
        for part in (part for part in PARTS if part in parts):
            if part == "throughput":
                # what fluxrun cannot train yet is measured on the peers only when it is asked for by name
                now = [work for work in works if options.work or trainable(work)]
                found[part] = throughput.throughput(now, options.threads, peers, settings)
                found["not_yet"] = [work.name for work in works if not trainable(work)]
                shown = throughput.rendered(found[part], peers)
                if found["not_yet"]:
                    shown += f"\nNot yet, for want of layers: {', '.join(found['not_yet'])}"
            elif part == "steps":
                recurrent = [work for work in works if work.recurrent]
                found[part] = steps.steps(recurrent if options.work else recurrent[:1], settings)
                shown = steps.rendered(found[part])
            elif part == "adam":
                found[part] = adam.adam(settings)
                shown = adam.rendered(found[part])
            else:
                found[part] = startup.startup(max(options.threads), settings)
                shown = startup.rendered(found[part])
            print(f"\n{part}\n\n{shown}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(found, indent=1) + "\n")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
