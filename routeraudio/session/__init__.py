"""Floor 3: one client session as a Trio nursery over synchronous stages."""
