"""Cells and functions that a converted file gets a copy of when MindSpore has none that fits.

The modules here are read as text and never imported: what a row names as `helper.X` is copied, with what it needs,
below the imports of the converted file.
"""
