"""Floor 5: what the configuration says about each provider: where to dial, what it costs."""
