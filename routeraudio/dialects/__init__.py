"""Floor 1: one client protocol per file, sans-I/O."""
