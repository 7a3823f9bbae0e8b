"""Takes: their files, and how a scene shows them."""
