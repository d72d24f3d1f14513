"""Links between a plugin and its host, and what carries them. Internal."""
