"""Benchmarks: fluxrun beside PyTorch and JAX, on the same cores, in the same run.

    __main__ ──▶ throughput ─┐
                 steps       │
                 adam        ├──▶ process ──▶ one pinned process for each measurement ──▶ a line of JSON
                 startup    ─┘                 on_fluxrun, peers, adam_step, store_times, digits_torch

The sides take turns, process by process, so that what the machine does meanwhile hits all of them. What is printed
are medians and ratios of medians taken turn by turn.
"""
