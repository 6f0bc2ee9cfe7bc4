"""Floor 3: what outlives a process: keys, burnt tokens, open streams, the usage ledger."""
