"""python -m fluxrun."""

from fluxrun.main import run

if __name__ == "__main__":
    run()
