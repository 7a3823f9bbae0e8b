"""What the Blender side and the service say to each other, and how they find each other.

`messages` are typed structs, and `wire` turns them into ZeroMQ frames and back. `payloads` packs cameras, images and
latents into the buffers behind them. `connection` is the file through which a client finds the service and its keys.
`client` is a synchronous client. `docs/protocol.md` describes the same for other languages.

`settings` and `models` describe what a generation can be asked for. `takes` is the record of a generation on disk.
`geometry` is the camera geometry that both sides need. The model library uses these, too.

The package needs msgspec, pyzmq and numpy only. It is copied into the Blender extension as it is, so its modules import
each other relatively.
"""
