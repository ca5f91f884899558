"""From the configuration of a Keras file, which is not trusted, to layers in plain data."""
