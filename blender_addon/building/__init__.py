"""Builds the extension's zip. Standard library only, apart from pip and wheel in the Python that is told to run them.

Not part of the extension: neither this folder nor `demo` goes into the zip.
"""
