"""Where facts are kept. The only package that imports database drivers and writes SQL."""
