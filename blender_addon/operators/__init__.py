"""What the panel's buttons do. All of it can be called from scripts as `bpy.ops.collaborative_cameras.*`."""
