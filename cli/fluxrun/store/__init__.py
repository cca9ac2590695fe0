"""Runs on disk.

runs/digits-7f3a9c01de/  config.yaml  resolved.yaml  run.json  metrics.jsonl  events.jsonl  checkpoints/
"""
