"""What does a training leave behind? The run folder with its manifest, report and pictures."""
