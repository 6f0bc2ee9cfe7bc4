"""Floor 5: accepting connections, reading request heads, admission, and opening sessions."""
