"""The wire: how requests are read and answered, the same for every domain."""
