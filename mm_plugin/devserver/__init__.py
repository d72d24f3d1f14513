"""A stand-in Mattermost with its state in SQLite."""
