"""Home Assistant's protocol for speech to text: its servers are found by host and port, and have no keys."""
