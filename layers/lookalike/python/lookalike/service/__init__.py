"""The use cases, one a module. They know no dialect, no HTTP and no store."""
