"""GoodNet opens an image classifier without running it, prunes its backdoor and guards it."""
