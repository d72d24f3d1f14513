"""What authors test with."""
