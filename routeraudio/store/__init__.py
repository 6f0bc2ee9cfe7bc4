"""Floor 3, persistent state: keys, used tokens, open streams, usage ledger."""
