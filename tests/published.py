"""The arrays of published networks as their papers and libraries list them: names and shapes.

Written apart from the modules, line by line of the tables in the papers, to compare with.
"""

from __future__ import annotations

import math

Shapes = dict[str, tuple[int, ...]]


def norm(name: str, width: int) -> Shapes:
    numbers = ("weight", "bias", "running_mean", "running_var")
    found: Shapes = {f"{name}.{key}": (width,) for key in numbers}
    return found | {f"{name}.num_batches_tracked": ()}


def conv(name: str, into: int, out: int, kernel: int, groups: int = 1) -> Shapes:
    return {f"{name}.weight": (out, into // groups, kernel, kernel)}


def biased(name: str, into: int, out: int, kernel: int) -> Shapes:
    return conv(name, into, out, kernel) | {f"{name}.bias": (out,)}


def linear(name: str, into: int, out: int) -> Shapes:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def parameters(shapes: Shapes) -> int:
    """Numbers that are trained: without what normalizations keep."""
    kept = ("running_mean", "running_var", "num_batches_tracked")
    return sum(math.prod(shape) for key, shape in shapes.items() if not key.endswith(kept))


def resnet(
    depths: tuple[int, ...],
    *,
    deep: bool,
    width: int = 64,
    groups: int = 1,
    classes: int = 1000,
    channels: int = 3,
    small: bool = False,
    cifar: bool = False,
) -> Shapes:
    past, head = ("shortcut", "linear") if cifar else ("downsample", "fc")
    found = conv("conv1", channels, 64, 3 if small else 7) | norm("bn1", 64)
    into = 64
    for stage, depth in enumerate(depths):
        inner = width << stage
        out = 256 << stage if deep else inner
        for block in range(depth):
            name = f"layer{stage + 1}.{block}"
            if deep:
                found |= conv(f"{name}.conv1", into, inner, 1) | norm(f"{name}.bn1", inner)
                found |= conv(f"{name}.conv2", inner, inner, 3, groups) | norm(f"{name}.bn2", inner)
                found |= conv(f"{name}.conv3", inner, out, 1) | norm(f"{name}.bn3", out)
            else:
                found |= conv(f"{name}.conv1", into, inner, 3) | norm(f"{name}.bn1", inner)
                found |= conv(f"{name}.conv2", inner, out, 3) | norm(f"{name}.bn2", out)
            if into != out or (stage and not block):
                found |= conv(f"{name}.{past}.0", into, out, 1) | norm(f"{name}.{past}.1", out)
            into = out
    return found | linear(head, into, classes)


def vgg(
    depths: tuple[int, ...], *, normalized: bool = False, classes: int = 1000, small: bool = False
) -> Shapes:
    found: Shapes = {}
    place, into = 0, 3
    for depth, width in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            found |= biased(f"features.{place}", into, width, 3)
            if normalized:
                found |= norm(f"features.{place + 1}", width)
            place, into = place + (3 if normalized else 2), width
        place += 1
    if small:
        return found | linear("classifier", 512, classes)
    return (
        found
        | linear("classifier.0", 25088, 4096)
        | linear("classifier.3", 4096, 4096)
        | linear("classifier.6", 4096, classes)
    )


def timm_vgg(depths: tuple[int, ...]) -> Shapes:
    found = {k: v for k, v in vgg(depths).items() if k.startswith("features")}
    found |= biased("pre_logits.fc1", 512, 4096, 7) | biased("pre_logits.fc2", 4096, 4096, 1)
    return found | linear("head.fc", 4096, 1000)


def densenet(depths: tuple[int, ...], growth: int = 32, width: int = 64) -> Shapes:
    found = conv("features.conv0", 3, width, 7) | norm("features.norm0", width)
    for block, depth in enumerate(depths, start=1):
        for layer in range(1, depth + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            found |= norm(f"{name}.norm1", width) | conv(f"{name}.conv1", width, 4 * growth, 1)
            found |= norm(f"{name}.norm2", 4 * growth)
            found |= conv(f"{name}.conv2", 4 * growth, growth, 3)
            width += growth
        if block < len(depths):
            name = f"features.transition{block}"
            found |= norm(f"{name}.norm", width) | conv(f"{name}.conv", width, width // 2, 1)
            width //= 2
    return found | norm("features.norm5", width) | linear("classifier", width, 1000)


V2 = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))


def mobilenet_v2(classes: int = 1000) -> Shapes:
    found = conv("features.0.0", 3, 32, 3) | norm("features.0.1", 32)
    into, place = 32, 0
    for wider, out, depth in V2:
        for _ in range(depth):
            place += 1
            name, inner, at = f"features.{place}.conv", into * wider, 0
            if wider > 1:
                found |= conv(f"{name}.0.0", into, inner, 1) | norm(f"{name}.0.1", inner)
                at = 1
            found |= conv(f"{name}.{at}.0", inner, inner, 3, inner) | norm(f"{name}.{at}.1", inner)
            found |= conv(f"{name}.{at + 1}", inner, out, 1) | norm(f"{name}.{at + 2}", out)
            into = out
    found |= conv("features.18.0", 320, 1280, 1) | norm("features.18.1", 1280)
    return found | linear("classifier.1", 1280, classes)


B0 = (
    (1, 16, 1, 3),
    (6, 24, 2, 3),
    (6, 40, 2, 5),
    (6, 80, 3, 3),
    (6, 112, 3, 5),
    (6, 192, 4, 5),
    (6, 320, 1, 3),
)


def efficientnet_b0() -> Shapes:
    """With torchvision's names."""
    found = conv("features.0.0", 3, 32, 3) | norm("features.0.1", 32)
    into = 32
    for stage, (wider, out, depth, kernel) in enumerate(B0, start=1):
        for block in range(depth):
            name, inner, at = f"features.{stage}.{block}.block", into * wider, 0
            if wider > 1:
                found |= conv(f"{name}.0.0", into, inner, 1) | norm(f"{name}.0.1", inner)
                at = 1
            found |= conv(f"{name}.{at}.0", inner, inner, kernel, inner)
            found |= norm(f"{name}.{at}.1", inner)
            found |= biased(f"{name}.{at + 1}.fc1", inner, into // 4, 1)
            found |= biased(f"{name}.{at + 1}.fc2", into // 4, inner, 1)
            found |= conv(f"{name}.{at + 2}.0", inner, out, 1) | norm(f"{name}.{at + 2}.1", out)
            into = out
    found |= conv("features.8.0", 320, 1280, 1) | norm("features.8.1", 1280)
    return found | linear("classifier.1", 1280, 1000)


def timm_mobile(
    stages: tuple[tuple[int, ...], ...], *, squeezes: bool, classes: int = 1000
) -> Shapes:
    """MobileNetV2 or EfficientNet-B0 with timm's names."""
    found = conv("conv_stem", 3, 32, 3) | norm("bn1", 32)
    into = 32
    for stage, (wider, out, depth, *kernels) in enumerate(stages):
        kernel = kernels[0] if kernels else 3
        for block in range(depth):
            name, inner = f"blocks.{stage}.{block}", into * wider
            bn = 1
            if wider > 1:
                found |= conv(f"{name}.conv_pw", into, inner, 1) | norm(f"{name}.bn1", inner)
                bn = 2
            found |= conv(f"{name}.conv_dw", inner, inner, kernel, inner)
            found |= norm(f"{name}.bn{bn}", inner)
            if squeezes:
                found |= biased(f"{name}.se.conv_reduce", inner, into // 4, 1)
                found |= biased(f"{name}.se.conv_expand", into // 4, inner, 1)
            last = "conv_pwl" if wider > 1 else "conv_pw"
            found |= conv(f"{name}.{last}", inner, out, 1) | norm(f"{name}.bn{bn + 1}", out)
            into = out
    found |= conv("conv_head", 320, 1280, 1) | norm("bn2", 1280)
    return found | linear("classifier", 1280, classes)


# Kernel, channels within, channels given, whether they are weighed, of "Searching for MobileNetV3".
V3_LARGE = (
    *((3, 16, 16, 0), (3, 64, 24, 0), (3, 72, 24, 0), (5, 72, 40, 1), (5, 120, 40, 1)),
    *((5, 120, 40, 1), (3, 240, 80, 0), (3, 200, 80, 0), (3, 184, 80, 0), (3, 184, 80, 0)),
    *((3, 480, 112, 1), (3, 672, 112, 1), (5, 672, 160, 1), (5, 960, 160, 1), (5, 960, 160, 1)),
)
V3_SMALL = (
    *((3, 16, 16, 1), (3, 72, 24, 0), (3, 88, 24, 0), (5, 96, 40, 1), (5, 240, 40, 1)),
    *((5, 240, 40, 1), (5, 120, 48, 1), (5, 144, 48, 1), (5, 288, 96, 1), (5, 576, 96, 1)),
    (5, 576, 96, 1),
)


def mobilenet_v3(rows: tuple[tuple[int, ...], ...], hidden: int) -> Shapes:
    found = conv("features.0.0", 3, 16, 3) | norm("features.0.1", 16)
    into = 16
    for place, (kernel, inner, out, weighs) in enumerate(rows, start=1):
        name, at = f"features.{place}.block", 0
        if inner != into:
            found |= conv(f"{name}.0.0", into, inner, 1) | norm(f"{name}.0.1", inner)
            at = 1
        found |= conv(f"{name}.{at}.0", inner, inner, kernel, inner)
        found |= norm(f"{name}.{at}.1", inner)
        if weighs:
            at += 1
            few = (inner // 4 + 4) // 8 * 8
            few += 8 if few < 0.9 * (inner // 4) else 0
            found |= biased(f"{name}.{at}.fc1", inner, few, 1)
            found |= biased(f"{name}.{at}.fc2", few, inner, 1)
        found |= conv(f"{name}.{at + 1}.0", inner, out, 1) | norm(f"{name}.{at + 1}.1", out)
        into = out
    end, last = f"features.{len(rows) + 1}", 6 * into
    found |= conv(f"{end}.0", into, last, 1) | norm(f"{end}.1", last)
    return found | linear("classifier.0", last, hidden) | linear("classifier.3", hidden, 1000)


def vit(width: int, depth: int, patch: int, side: int, classes: int = 1000) -> Shapes:
    """With torchvision's names."""
    steps = (side // patch) ** 2 + 1
    found: Shapes = {"class_token": (1, 1, width)} | biased("conv_proj", 3, width, patch)
    found |= {"encoder.pos_embedding": (1, steps, width)}
    for layer in range(depth):
        name = f"encoder.layers.encoder_layer_{layer}"
        found |= affine(f"{name}.ln_1", width)
        found |= {
            f"{name}.self_attention.in_proj_weight": (3 * width, width),
            f"{name}.self_attention.in_proj_bias": (3 * width,),
        }
        found |= linear(f"{name}.self_attention.out_proj", width, width)
        found |= affine(f"{name}.ln_2", width)
        found |= linear(f"{name}.mlp.0", width, 4 * width)
        found |= linear(f"{name}.mlp.3", 4 * width, width)
    return found | affine("encoder.ln", width) | linear("heads.head", width, classes)


def timm_vit(width: int, depth: int, patch: int, side: int, classes: int = 1000) -> Shapes:
    steps = (side // patch) ** 2 + 1
    found: Shapes = {"cls_token": (1, 1, width), "pos_embed": (1, steps, width)}
    found |= biased("patch_embed.proj", 3, width, patch)
    for layer in range(depth):
        name = f"blocks.{layer}"
        found |= affine(f"{name}.norm1", width) | linear(f"{name}.attn.qkv", width, 3 * width)
        found |= linear(f"{name}.attn.proj", width, width) | affine(f"{name}.norm2", width)
        found |= linear(f"{name}.mlp.fc1", width, 4 * width)
        found |= linear(f"{name}.mlp.fc2", 4 * width, width)
    return found | affine("norm", width) | linear("head", width, classes)


def affine(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
