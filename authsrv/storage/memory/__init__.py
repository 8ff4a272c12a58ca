"""Storage in this process's memory, for tests and trial runs, and the model that SQL is held against."""
