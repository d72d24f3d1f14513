"""The contract as Python: generated from the folder `proto` by `make proto`; do not edit the generated files.

Generated: `<topic>_pb2.py` (messages), `<topic>_pb2.pyi` (their types) and, for each file that defines a service,
`<topic>_grpc.py` (service bases and stubs of grpclib). The latter import grpclib.client, hence asyncio and h2: only
tests and users import them. Written by hand: `_pool.py` (the private descriptor pool) and `services.py` (methods by
name).
"""
