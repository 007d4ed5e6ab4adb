"""Data sets, one family a file; the registry finds the classes by their names."""
