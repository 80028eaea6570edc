"""What does the machine offer, and how are files kept whole? Devices, cores, files, checksums."""
