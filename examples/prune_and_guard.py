"""Prune a suspect network, guard it, and say what that is worth.

Run `goodnet demo` first: it makes the files used here.
"""

from pathlib import Path

import goodnet as gn

data = Path("goodnet-demo/badnet")
network = gn.open_network(data / "bd_net.h5")
valid = gn.open_images(data / "cl" / "valid.h5")
scale = gn.find_scale(network.answers, valid).scale

curve = gn.prune_curve(network, valid.scaled(scale))
steps = curve.steps_to_drop(10) or 0
repaired = gn.silence_channels(network, curve.layer, curve.silenced(steps))
good = gn.make_goodnet(network, repaired)
print(f"{steps} of {len(curve.channels)} channels of {curve.layer} are silenced")

test = gn.open_images(data / "cl" / "test.h5").scaled(scale)
poison = {"sunglasses": gn.open_images(data / "bd" / "bd_test.h5").scaled(scale)}
print(gn.evaluate_network(network, test, poison, name="B"))
print(gn.evaluate_network(repaired, test, poison, name="B'"))
print(gn.evaluate_network(good, test, poison, name="G", refusal=network.num_classes))
gn.save_network(good, "goodnet-demo/goodnet.keras", force=True)
