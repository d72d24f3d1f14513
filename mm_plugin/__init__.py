"""Mattermost server plugins in Python, on AnyIO."""
