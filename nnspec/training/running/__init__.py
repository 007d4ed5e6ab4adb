"""The loop, what it computes from a batch, and what is said when it cannot go on."""
