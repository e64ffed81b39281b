"""The append core: prepare, judge, commit in groups, sign the head, answer (design, section 4)."""
