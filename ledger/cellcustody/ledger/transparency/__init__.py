"""The log: Merkle tree, tiles, signed notes, checkpoints, proofs and witness policy (design, section 6). No I/O."""
