"""Many pictures at once: into a library from folders and tables, out of it into archives, and snapshots of a data folder."""
