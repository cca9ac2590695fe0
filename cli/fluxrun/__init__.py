"""fluxrun: train neural networks from a YAML file."""
