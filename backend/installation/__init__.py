"""What `install.py` does its work with. Nothing here needs a package that is not Python's own.

`tools` runs programs, and knows the folders. `system` looks at the machine before anything is downloaded. `blenders`
finds what the demo and the tests run in. `packages` makes the environments. Python 3.7 has to be able to read these
files: `install.py` imports them before it can say that a Python is too old.
"""
