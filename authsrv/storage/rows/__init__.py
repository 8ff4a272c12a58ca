"""Between models and rows, by what they are about; `base.py` says what no database can hold. Knows no SQL."""
