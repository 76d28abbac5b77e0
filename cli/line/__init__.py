"""What can be typed: commands and their options as data, and how a line is parsed, explained and completed.

Nothing here imports a command's code: ``--help``, ``--version`` and mistakes cost no more than reading the
line.
"""
