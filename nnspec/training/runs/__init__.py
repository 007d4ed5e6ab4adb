"""The directory of a run: writing it, keeping it whole, going on from it, reading it."""
