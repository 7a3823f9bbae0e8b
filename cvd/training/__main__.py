"""``python -m cvd.training train STAGE``: the training commands on their own."""

import argparse
import sys

from cvd.training.cli import add_parser

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m cvd.training")
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args()
    sys.exit(arguments.func(arguments))
