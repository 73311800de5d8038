"""Benchmarks: each prints its figures with machine and date; docs/benchmarks.md keeps them."""
