"""From pixels to vectors and feature maps: the model, its card, and the crops of a query."""
