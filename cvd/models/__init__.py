"""The networks: SD 1.5's U-Net over frames, with camera conditioning and attention between views."""
