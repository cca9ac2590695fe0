"""Sizes that kernels and who calls them agree on."""

NARROW = 512  # floats in a row of B, up to which a product reads it where it lies; below PANEL a BLAS is quicker
PANEL = 32  # columns of a panel of a packed B, which lies row by row: two of the longest vectors
