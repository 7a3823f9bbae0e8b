"""What the Blender side and the service say to each other, and how they find each other.

`messages` are typed structs, `wire` turns them into ZeroMQ frames and back, `payloads` packs cameras and images into
the buffers behind them, `connection` is the file through which a client finds the service and its keys, `client` is a
synchronous client. The package needs msgspec, pyzmq and numpy only and is copied into the Blender extension as it is,
so that its modules import each other relatively. `docs/protocol.md` describes the same for other languages.

`geometry` is the camera geometry that both sides need. The model library uses it too, and nothing else of this package.
"""
