"""Training of the CVD stages, on procedural scenes, RealEstate10K and plain videos."""
