"""What the scripts share: their command line, their results, and how they start a training."""
