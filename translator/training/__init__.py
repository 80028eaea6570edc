"""Learning: loss, optimizer, checkpoints, and the loop that joins them."""
