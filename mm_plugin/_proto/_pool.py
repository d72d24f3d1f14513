"""The private descriptor pool of the generated messages.

Job: give the generated modules a pool of their own, so that a second copy of the contract, or the health messages of
another gRPC library, can live in the same process; protobuf's default pool refuses two files that define one name.
Layer: the floor; imports protobuf only.
Output: `POOL`, which knows the well-known types that the contract imports.
"""

from __future__ import annotations

from google.protobuf import descriptor_pool, struct_pb2, wrappers_pb2

POOL = descriptor_pool.DescriptorPool()

# The well-known types come from the installed protobuf. Their classes in this pool are not those of
# google.protobuf.struct_pb2, but have the same methods: protobuf picks those by the type's full name.
for _file in (struct_pb2.DESCRIPTOR, wrappers_pb2.DESCRIPTOR):
    POOL.AddSerializedFile(_file.serialized_pb)
