"""Floor 1: sound. Synchronous objects that turn the client's bytes into what an upstream takes."""
