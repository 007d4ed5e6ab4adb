"""Schedules of the learning rate, a family a file."""
