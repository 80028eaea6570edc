"""Other toolkits, configured to do the same work as ours."""
