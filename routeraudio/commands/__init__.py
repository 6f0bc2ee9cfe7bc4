"""Floor 10: the command line, one file per group of commands and the pieces they share."""
