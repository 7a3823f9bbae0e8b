"""Training of the CVD stages, on procedural scenes rendered once into a memory-mapped pool."""
