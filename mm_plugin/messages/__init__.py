"""Shared work on messages."""
