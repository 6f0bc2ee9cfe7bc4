"""Floor 4: logs and metrics."""
