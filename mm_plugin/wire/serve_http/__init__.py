"""The ServeHTTP call, sans-IO: values, chunking, and one state machine for each side. Internal."""
