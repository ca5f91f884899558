"""Prune a suspect network, guard it, and say what that is worth.

Run `goodnet demo` first: it makes the files used here.
"""

from pathlib import Path

import goodnet as gn

data = Path("goodnet-demo/badnet")
valid = gn.load_images(data / "cl" / "valid.h5")
network = gn.load(data / "bd_net.h5").calibrated(valid)

pruned = gn.Prune(drop=10)(network, valid)
good = gn.GoodNet(network, pruned.network)
print(f"{len(pruned.details['channels_pruned'])} channels of {pruned.details['layer']} are silent")

test = gn.load_images(data / "cl" / "test.h5")
poison = {"sunglasses": gn.load_images(data / "bd" / "bd_test.h5")}
for name, each in {"B": network, "B'": pruned.network, "G": good}.items():
    print(gn.evaluate(each, test, poison, name=name))
good.save("goodnet-demo/goodnet.keras", force=True)
