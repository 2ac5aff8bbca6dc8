"""Measurements that are published in docs/benchmarks; each is run by hand, by its target in the Makefile."""
