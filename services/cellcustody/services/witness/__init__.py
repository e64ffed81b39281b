"""The witness program: cosign logs that only grow, for any member organisation (C2SP tlog-witness)."""
