"""The clients of cellcustody: sites, auditors and regulators, their signers, outbox and command line."""
