"""Domain types, as frozen data. Nothing here does I/O."""
