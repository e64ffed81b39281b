"""The server of cellcustody: gRPC servicers, the HTTP face of the log, configuration and process start."""
