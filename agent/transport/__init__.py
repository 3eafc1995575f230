"""HTTP in the reactor: connections, one request and its response, whole or as a stream."""
