"""What can be done to a field of the data, a family a file."""
