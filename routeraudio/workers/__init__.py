"""Floor 4: several processes on one port: what they share, how they accept, how they are supervised."""
