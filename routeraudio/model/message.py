"""A WebSocket message as all floors pass it: text is `str`, binary is `bytes`."""

Message = str | bytes
