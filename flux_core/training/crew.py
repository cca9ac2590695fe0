"""How many threads: as many as pay, which is found by trying.

On a machine to itself two threads are faster than one; where other processes hold the second core, a thread that
waits for its peer waits for the scheduler. The number changes no bit of the result, so it may change on the way.
"""

from __future__ import annotations

PROBE = 16  # stretches between two looks at the other choice


class Crew:
    """Chooses between one thread and `most` threads by the time that a step took last with each.

    >>> crew = Crew(2)
    >>> crew.size()
    2
    >>> crew.took(2, 0.5)
    >>> crew.size()
    1
    >>> crew.took(1, 0.3)
    >>> crew.size()
    1
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.seconds: dict[int, float] = {}
        self.turn = 0

    def size(self) -> int:
        """The number of threads for the next stretch of steps."""
        choices = [n for n in (self.most, 1) if n not in self.seconds]
        if self.most == 1 or choices:
            return choices[0] if choices else 1
        self.turn += 1
        best = min(self.seconds, key=self.seconds.__getitem__)
        return 1 + self.most - best if self.turn % PROBE == 0 else best

    def took(self, threads: int, seconds: float) -> None:
        """A step took so long with so many threads."""
        self.seconds[threads] = seconds
