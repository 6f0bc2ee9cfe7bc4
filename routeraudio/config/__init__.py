"""Floor 3: TOML and environment to frozen structs; errors name file, key and what is allowed."""
