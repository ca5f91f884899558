"""Ways of making B', the network with its backdoor weakened or gone."""
