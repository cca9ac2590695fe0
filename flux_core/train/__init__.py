"""Training: the loop and what it keeps."""
