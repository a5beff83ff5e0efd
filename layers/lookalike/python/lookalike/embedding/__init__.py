"""From pixels to vectors and local maps: the model, its card, and the views of a query."""
