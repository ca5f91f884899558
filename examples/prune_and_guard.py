"""Prune a suspect network, guard it, and say what that is worth.

Run `goodnet demo` first: it makes the files used here.
"""

from pathlib import Path

import goodnet as gn

data = Path("goodnet-demo/badnet")
network = gn.load(data / "bd_net.h5")
valid = gn.load_images(data / "cl" / "valid.h5")
scale = gn.find_scale(network.predict, valid).scale

pruned = gn.Prune(drop=10)(network, valid.scaled(scale))
good = gn.GoodNet(network, pruned.network)
print(f"{len(pruned.details['channels_pruned'])} channels of {pruned.details['layer']} are silent")

test = gn.load_images(data / "cl" / "test.h5").scaled(scale)
poison = {"sunglasses": gn.load_images(data / "bd" / "bd_test.h5").scaled(scale)}
for name, each in {"B": network, "B'": pruned.network, "G": good}.items():
    print(gn.evaluate(each, test, poison, name=name))
good.save("goodnet-demo/goodnet.keras", force=True)
