"""The generation service: the process that takes jobs from clients, and the child process that owns the GPU.

`python -m backend` serves. `server` speaks with clients over ZeroMQ. It never blocks, because a child process has the
model (`worker`). `executors.local` starts that process, speaks with it over pipes, and starts it again when it dies.
`jobs` is the queue and the states of jobs. `run` carries out one job. `store` keeps requests and results on disk.
`translation` stands between the messages of clients and the events of executors. `progress` estimates the time left.

The service knows nothing of Blender, and only the worker imports the model library.
"""

__version__ = "0.1.0"
