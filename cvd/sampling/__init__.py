"""From noise to clean latents: solvers, random draws, pairings and windows."""
