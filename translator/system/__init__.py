"""What does the machine offer? Devices, cores, atomic files, locks and checksums."""
