"""Measure the ledger against what this machine can do at all: `python -m benchmarks`."""
