"""What an author subclasses."""
