"""Measures of takes: do the views agree, do the cameras move as asked, do the frames show the prompt?

Every measure is a pure function of images and cameras. `consistency` compares views, and `camera_fidelity` compares
frames of a video. `identical` compares views with the same cameras (paper, A.4). `clip` compares frames with a prompt,
and `distributions` with real images. `starter` has the measures of the starter model's world. `report` computes all
measures of a take, and `picture` draws them.
"""
