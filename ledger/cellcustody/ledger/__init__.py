"""The domain of cellcustody: statements, rules, log, store, views and verification. It imports no gRPC."""
