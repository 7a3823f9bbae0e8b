"""Models on disk: what they are, where they are, and how their tensors find their places."""
