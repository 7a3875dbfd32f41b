"""Signal models of layer types: how each maps the moments of values forward and of gradients backward."""
