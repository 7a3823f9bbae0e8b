"""What the U-Net is told of the cameras: Pluecker maps and epipolar biases."""
