"""Runs that are killed, stopped, and cannot write: what is there afterwards, and that they go on to the same end."""
