"""How well the starter model knows its world."""
