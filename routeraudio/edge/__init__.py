"""Floor 6: accepting connections, reading request heads, admission, and opening sessions."""
