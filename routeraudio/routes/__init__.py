"""Floor 4: what the configuration says about each provider: where to dial, what it costs."""
