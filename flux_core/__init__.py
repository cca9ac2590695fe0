"""flux_core: models, graphs, gradients and a trainer in Python, NumPy and Numba."""
