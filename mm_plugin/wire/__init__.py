"""Every protocol, sans-IO: no await, no clock, no sockets, no logging. Internal."""
