"""Floor 0: the words everybody shares, as frozen structs. No I/O, no clock, no trio."""
