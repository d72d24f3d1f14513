"""gRPC on AnyIO: a server and a channel over our own HTTP/2, and the links that ride on them. Internal."""
