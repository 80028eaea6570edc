"""The parts of `crash_test.py`: a training whose progress can be observed, and what kills it."""
