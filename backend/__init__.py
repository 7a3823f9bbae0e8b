"""The generation service: the process that takes jobs from clients, and the child process that owns the GPU.

`python -m backend` serves. `server` speaks with clients over ZeroMQ and never blocks: the model lives in a child
process (`worker`), which `executors.local` starts, speaks with over pipes, and starts again when it dies. `jobs` is the
queue and the states of jobs, `store` keeps requests and results on disk, `progress` estimates the time left. The
service knows nothing of Blender, and only the worker imports the model library.
"""

__version__ = "0.1.0"
