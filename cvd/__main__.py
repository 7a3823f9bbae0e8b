"""`python -m cvd`."""

import os
import sys

from .threads import share_the_processor

share_the_processor(os.environ)

from .commands.cli import main  # noqa: E402  torch, which it imports, reads the environment at its import

sys.exit(main())
