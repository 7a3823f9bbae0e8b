"""Inputs that describe the cameras to the U-Net: Pluecker maps and epipolar biases."""
