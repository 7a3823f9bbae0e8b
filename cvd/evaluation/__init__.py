"""Measures of what was generated: do the views agree, do the cameras move as asked, does it look like the prompt.

Every measure is a pure function of images and cameras: `consistency` (between views), `camera_fidelity` (within a
video), `identical` (paper A.4), `clip` and `distributions` (against a prompt and against real images), and, for the
starter model, `starter_score` on top of `palette`. `report` runs them on a take; `figure` draws what it found.
"""
