"""The command line over the clients; needs the extra `cli`."""
