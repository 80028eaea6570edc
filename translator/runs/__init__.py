"""What does a training leave behind? The run folder, its manifest, its report and pictures."""
