"""Writes the files that the tests of VGG16 read: python make.py; or python make.py FOLDER, which writes
torchvision's own networks with random weights there (half a gigabyte each), a photo-like image, and the
logits of it, to hold the example against.

Made with PyTorch 2.15 and torchvision 0.29.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torchvision
from PIL import Image
from torchvision import transforms

HERE = Path(__file__).parent
STAGES = [[1, 1], [2, 2], [4, 4, 4], [8, 8, 8], [8, 8, 8]]


class Narrow(nn.Module):
    """torchvision's vgg16 with 2 channels where it has 64, 8 hidden numbers and 5 classes."""

    def __init__(self, batch_norm):
        super().__init__()
        layers, channels = [], 3
        for stage in STAGES:
            for times in stage:
                layers.append(nn.Conv2d(channels, 2 * times, 3, padding=1))
                channels = 2 * times
                layers += [nn.BatchNorm2d(channels)] if batch_norm else []
                layers.append(nn.ReLU(inplace=True))
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(16 * 7 * 7, 8), nn.ReLU(True), nn.Dropout(), nn.Linear(8, 8), nn.ReLU(True), nn.Dropout(),
            nn.Linear(8, 5))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def images():
    """By a formula that the test has too."""
    return (torch.arange(2 * 3 * 224 * 224) * 37 % 251).float().reshape(2, 3, 224, 224) / 128 - 1


def randomise(model):
    """Values that keep the signal at its size, and statistics that are not the first ones."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)
                nn.init.uniform_(module.bias, -0.2, 0.2)
            elif isinstance(module, nn.BatchNorm2d):
                for tensor, low, high in [(module.weight, 0.5, 1.5), (module.bias, -0.2, 0.2),
                                          (module.running_mean, -0.5, 0.5), (module.running_var, 0.5, 2)]:
                    nn.init.uniform_(tensor, low, high)
                module.num_batches_tracked += 3
    return model.eval()


def networks():
    for name, batch_norm in [("vgg16.pth", False), ("vgg16_bn.pth", True)]:
        model = randomise(Narrow(batch_norm))
        torch.save(model.state_dict(), HERE / name)
        with torch.no_grad():
            torch.save({"logits": model(images())}, HERE / name.replace(".pth", "_logits.pt"))


def pattern(width, height):
    """Smooth and sharp things, by a formula that the test has too."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 255 // max(width - 1, 1)), (x * y) % 256, ((x // 5 + y // 3) % 2) * 255]
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


MIDDLE = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])


def middles():
    """Every eighth pixel, from the fifth on, of what torchvision makes of images of many sizes."""
    for width, height in [(640, 480), (333, 1000), (100, 37), (256, 257), (3, 2), (225, 225)]:
        middle = np.asarray(MIDDLE(pattern(width, height)))
        Image.fromarray(middle[4::8, 4::8].copy()).save(HERE / f"middle_{width}x{height}.png")


def turned():
    """Red left of blue, from a camera that was held upright: red belongs above blue."""
    picture = Image.new("RGB", (60, 40), (255, 0, 0))
    picture.paste((0, 0, 255), (30, 0, 60, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(HERE / "turned.jpg", exif=exif, quality=90)


def full(folder):
    folder.mkdir(exist_ok=True)
    picture = pattern(640, 480)
    picture.save(folder / "image.png")
    normalise = transforms.Compose([
        MIDDLE, transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    for name in ["vgg16", "vgg16_bn"]:
        model = randomise(getattr(torchvision.models, name)(weights=None))
        torch.save(model.state_dict(), folder / f"{name}.pth")
        with torch.no_grad():
            logits = model(normalise(picture)[None])
        torch.save({"logits": logits}, folder / f"{name}_logits.pt")
        top = logits.softmax(1)[0].topk(5)
        print(name, [(i.item(), round(100 * p.item(), 1)) for p, i in zip(*top)])


torch.manual_seed(16)
if len(sys.argv) > 1:
    full(Path(sys.argv[1]))
else:
    networks()
    middles()
    turned()
