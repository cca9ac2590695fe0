"""What the commands do, without a terminal: each job is a function that a program could call as well."""
