"""fluxrun: train neural networks from a YAML file."""

import gc

# Importing makes many objects and no garbage: looking for some a hundred times is an eighth of the time to start.
gc.set_threshold(100_000, 20, 20)
