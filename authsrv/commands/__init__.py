"""The commands that come in groups, each a module with its `app`. They hold no rules: they give an order and print."""
