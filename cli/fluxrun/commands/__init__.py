"""One command per file: parse, call a job, render. Nothing heavy is imported before a command runs."""
