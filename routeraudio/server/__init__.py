"""Floor 5: the door, what is behind it, and who may come in."""
