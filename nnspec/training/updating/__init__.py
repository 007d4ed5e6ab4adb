"""What happens between the gradients of a loss and the next batch."""
