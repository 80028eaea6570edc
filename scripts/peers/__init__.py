"""Other toolkits, set up to do the same as ours."""
