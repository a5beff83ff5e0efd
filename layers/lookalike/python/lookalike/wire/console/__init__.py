"""The console's files, served as they lie there. Nothing but Python's own library, so that its function starts at once."""
