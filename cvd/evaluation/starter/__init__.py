"""The measures of the starter model's world, and its benchmark."""
