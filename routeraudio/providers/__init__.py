"""Floor 1: one adapter per file, a sans-I/O translator of one vendor's protocol."""
