"""The registry: sites, persons, devices, keys, policies and schemas, judged by position in the log. Pure."""
