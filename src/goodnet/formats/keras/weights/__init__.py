"""Which array of a Keras file belongs to which weight of its layers."""
