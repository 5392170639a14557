"""Where verified events go while Redis cannot take them: the disk of this machine, and from there to Redis."""
