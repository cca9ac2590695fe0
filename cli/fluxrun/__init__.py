"""fluxrun: train neural networks from a YAML file."""

import gc

# Importing makes most of a million objects and no garbage: looking for some is a tenth of the time to start.
gc.set_threshold(1_000_000, 20, 20)
