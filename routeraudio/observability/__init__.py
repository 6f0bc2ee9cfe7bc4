"""Floor 5: logs and metrics."""
