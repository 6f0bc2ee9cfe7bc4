"""Floor 6, stream pull: fetch a stream, decode it in a process of its own, post what a provider says to a webhook."""
