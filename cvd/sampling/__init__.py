"""From noise to clean latents: solvers, random draws, matchings and windows."""
