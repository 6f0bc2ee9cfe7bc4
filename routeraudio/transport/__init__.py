"""Floor 4: WebSocket on Trio, over the sans-I/O protocol objects of `websockets`."""
