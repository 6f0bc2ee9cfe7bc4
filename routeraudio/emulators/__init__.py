"""Floor 6: stand-ins for every provider, written from the vendors' documentation.

They share no code with the adapters they stand in for, and run on trio-websocket, so that the streaming path
always meets a second implementation of both protocols.
"""
