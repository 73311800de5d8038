"""Edges: the API server, the command line, the library and the scheduler. Wiring only."""
