"""What nnspec costs, each time as a ratio to what one would use instead; `python -m bench` prints the tables."""
