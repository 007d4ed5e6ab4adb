"""Training: data, optimizers and metrics as library classes, and the loop that brings them together."""
