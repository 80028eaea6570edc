"""What `fuzz.py` tries."""
