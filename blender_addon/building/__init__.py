"""Builds the extension's zip. It needs the standard library, and a Python with pip and wheel to fetch the wheels.

This folder is no part of the extension.
"""
