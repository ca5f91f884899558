"""From plain data to Keras layers: what `goodnet.formats.keras.write` is made of."""
