"""The commands that come in groups, each a module with its `app`.

They hold no rules: they ask one part of the server and print.
"""
