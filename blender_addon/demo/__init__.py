"""The demonstration: a scene, the extension at work on it, and a picture of the result. Not part of the zip."""
