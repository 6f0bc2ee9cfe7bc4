"""Floor 5: who a client is and what it may do: router keys, tokens, provider keys."""
