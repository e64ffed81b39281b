"""State, rules and evolution of therapies, consignments, lots and sites."""
