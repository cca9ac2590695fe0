"""What a machine keeps between runs, and where: only ever a faster way to what can be made again."""
