"""What the contract's options say of a body: which capabilities its signer's site needs, and whether it permits.

The modules that declare bodies are imported here, so that every body is found by its full name.
"""

from __future__ import annotations

from functools import lru_cache

from google.protobuf import descriptor_pool

from cellcustody.v1 import (
    harvest_pb2,
    modification_pb2,
    options_pb2,
    quality_pb2,
    registry_pb2,
    return_pb2,
    transport_pb2,
)

__all__ = ["BODY_MODULES", "act_option", "required_capabilities"]

BODY_MODULES = (harvest_pb2, transport_pb2, modification_pb2, return_pb2, quality_pb2, registry_pb2)


@lru_cache(maxsize=256)
def act_option(body_type: str) -> options_pb2.ActOption | None:
    """Returns the option that marks a body, or None where the contract has no such body."""
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(body_type)
    except KeyError:
        return None
    options = descriptor.GetOptions()
    if not options.HasExtension(options_pb2.act):
        return None
    return options.Extensions[options_pb2.act]


@lru_cache(maxsize=256)
def required_capabilities(body_type: str) -> frozenset[int]:
    """Returns the capabilities of which the signer's site needs one; empty: none is asked for."""
    option = act_option(body_type)
    return frozenset(option.capabilities) if option is not None else frozenset()
