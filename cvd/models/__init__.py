"""The networks: SD 1.5's U-Net for video, with camera conditioning and attention between views."""
