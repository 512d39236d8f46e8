"""The networks of the lessons in PyTorch: those of models/src/cifar2/nets.rs by the names that --model takes, and
those of the lessons mnist, cifar10 and luna."""

from torch import nn


class TwoConvolutions(nn.Module):
    """The baseline, and wider; with dropout of channels or batch normalisation, as wanted."""

    def __init__(self, channels, dropout=0.0, batch_norm=False):
        super().__init__()
        norm = nn.BatchNorm2d if batch_norm else (lambda _: nn.Identity())
        drop = nn.Dropout2d(dropout) if dropout else nn.Identity()
        self.features = nn.Sequential(
            *[nn.Conv2d(3, channels, 3, padding=1), norm(channels), nn.Tanh(), nn.MaxPool2d(2), drop],
            *[nn.Conv2d(channels, channels // 2, 3, padding=1), norm(channels // 2)],
            *[nn.Tanh(), nn.MaxPool2d(2), drop],
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(channels // 2 * 8 * 8, 32), nn.Tanh(), nn.Linear(32, 2)
        )

    def forward(self, x):
        return self.classifier(self.features(x))


class ThreeConvolutions(nn.Module):
    """Depth; with `residual`, the third convolution adds to its input."""

    def __init__(self, residual):
        super().__init__()
        self.residual = residual
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 16, 3, padding=1)
        self.conv3 = nn.Conv2d(16, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 4 * 4, 32)
        self.fc2 = nn.Linear(32, 2)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        out = self.pool(self.conv1(x).relu())
        out = self.pool(self.conv2(out).relu())
        deep = self.conv3(out).relu()
        out = self.pool(deep + out if self.residual else deep)
        return self.fc2(self.fc1(out.flatten(1)).relu())


class ResBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.batch_norm = nn.BatchNorm2d(channels)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.constant_(self.batch_norm.weight, 0.5)

    def forward(self, x):
        return self.batch_norm(self.conv(x)).relu() + x


class ResDeep(nn.Module):
    def __init__(self, n_blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.resblocks = nn.Sequential(*[ResBlock(32) for _ in range(n_blocks)])
        self.fc1 = nn.Linear(32 * 8 * 8, 32)
        self.fc2 = nn.Linear(32, 2)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        out = self.pool(self.resblocks(self.pool(self.conv1(x).relu())))
        return self.fc2(self.fc1(out.flatten(1)).relu())


def mnist():
    """[N, 1, 28, 28] to ten digits."""
    stages = []
    for before, after in [(1, 16), (16, 32)]:
        stages += [nn.Conv2d(before, after, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*stages, nn.Flatten(), nn.Linear(32 * 7 * 7, 10))


def cifar10():
    """[N, 3, 32, 32] to ten classes."""
    stages = []
    for before, middle, after in [(3, 32, 64), (64, 128, 128), (128, 256, 256)]:
        stages += [nn.Conv2d(before, middle, 3, padding=1), nn.ReLU()]
        stages += [nn.Conv2d(middle, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Linear(256 * 4 * 4, 1024), nn.ReLU(), nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 10)]
    return nn.Sequential(*stages, nn.Flatten(), *head)


def luna():
    """[N, 1, 32, 48, 48] to two classes: LunaModel."""
    stages = [nn.BatchNorm3d(1)]
    for before, after in [(1, 8), (8, 16), (16, 32), (32, 64)]:
        stages += [nn.Conv3d(before, after, 3, padding=1), nn.ReLU()]
        stages += [nn.Conv3d(after, after, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2)]
    net = nn.Sequential(*stages, nn.Flatten(), nn.Linear(64 * 2 * 3 * 3, 2))
    for layer in net:
        if isinstance(layer, (nn.Conv3d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return net


NETS = {
    "baseline": lambda: TwoConvolutions(16),
    "width": lambda: TwoConvolutions(32),
    "dropout": lambda: TwoConvolutions(32, dropout=0.4),
    "batch-norm": lambda: TwoConvolutions(32, batch_norm=True),
    "depth": lambda: ThreeConvolutions(residual=False),
    "res": lambda: ThreeConvolutions(residual=True),
    "res-deep of 10 blocks": lambda: ResDeep(10),
    "mnist": mnist,
    "cifar10": cifar10,
    "luna": luna,
}
