"""What the emulators of all vendors share."""
