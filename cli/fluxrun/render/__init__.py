"""What people see: on a terminal a live bar and a table, elsewhere plain lines, and always on stderr."""
