"""The bytes of internal records and rows, which compiled code reads and writes; here in plain Python, for the rest."""
