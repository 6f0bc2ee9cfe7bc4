"""Sessions whose connections are cut at random, with the daemon, the adapters and the emulators as they are."""
