"""The timed rows of the table of cases (tests/common/cases/), as PyTorch runs them, and the timed networks.

Each row has the op, what is special, the inputs, and the same work: op and what are those of Rust, so that
the times can stand side by side. `torch_gpu.py --list` prints them; tests/report.rs compares the two tables.
Nothing here needs PyTorch until a case is run.
"""

# The groups of benches/train_step.rs: a network of nets.py, images in a batch, parameters.
NETWORKS = [
    ("baseline", 64, 18090),
    ("baseline", 1024, 18090),
    ("width", 64, 38386),
    ("dropout", 64, 38386),
    ("batch-norm", 64, 38482),
    ("depth", 64, 16130),
    ("res", 64, 16130),
    ("res-deep of 10 blocks", 64, 159330),
]

LARGE = [64, 16, 32, 32]
HUGE = [65535 * 256 + 257]


class Input:
    """Its shape, and what it is filled with: uniform numbers, or integers below a number."""

    def __init__(self, shape, low=-1.0, high=1.0, below=None, fixed=False):
        self.shape, self.low, self.high, self.below = list(shape), low, high, below
        self.differentiable = below is None and not fixed

    def tensor(self, torch, device):
        if self.below is not None:
            return torch.randint(self.below, self.shape, device=device)
        x = torch.empty(self.shape, device=device).uniform_(self.low, self.high)
        return x.requires_grad_(self.differentiable)


class Case:
    """`run(torch.nn.functional, torch, *inputs)` is the op; channels-last means something to `images`."""

    def __init__(self, op, what, inputs, run, images=False, products=False, gradient=True):
        self.op, self.what, self.inputs, self.run = op, what, inputs, run
        self.images, self.products, self.gradient = images, products, gradient


def shown(shape):
    return str(list(shape))


def cases():
    for family in [elementwise, arithmetic, reduce, layout, matmul, conv, pool, batch_norm, dropout, softmax]:
        yield from family()
    yield from losses()
    yield from grid_sample()


def elementwise():
    positive = dict(low=0.1, high=3.0)
    wide = dict(low=-3.0, high=3.0)
    table = [
        ("neg", "", {}, lambda F, t, x: -x),
        ("abs", "", {}, lambda F, t, x: x.abs()),
        ("exp", "", {}, lambda F, t, x: x.exp()),
        ("log", "", positive, lambda F, t, x: x.log()),
        ("sqrt", "", positive, lambda F, t, x: x.sqrt()),
        ("square", "", {}, lambda F, t, x: x.square()),
        ("tanh", "", wide, lambda F, t, x: x.tanh()),
        ("sigmoid", "", wide, lambda F, t, x: x.sigmoid()),
        ("relu", "", {}, lambda F, t, x: x.relu()),
        ("leaky_relu", "slope 0.01", {}, lambda F, t, x: F.leaky_relu(x, 0.01)),
        ("leaky_relu", "slope 0.2", {}, lambda F, t, x: F.leaky_relu(x, 0.2)),
        ("elu", "alpha 1", {}, lambda F, t, x: F.elu(x, 1.0)),
        ("elu", "alpha 0.3", {}, lambda F, t, x: F.elu(x, 0.3)),
        ("gelu", "", wide, lambda F, t, x: F.gelu(x)),
        ("softplus", "beta 1", wide, lambda F, t, x: F.softplus(x, 1.0, 20.0)),
        ("softplus", "beta 2, beyond the threshold", {}, lambda F, t, x: F.softplus(x, 2.0, 1.0)),
        ("clamp", "both", {}, lambda F, t, x: x.clamp(-0.5, 1.0)),
        ("clamp", "min", {}, lambda F, t, x: x.clamp(min=0.25)),
        ("clamp", "max", {}, lambda F, t, x: x.clamp(max=0.25)),
        ("add_scalar", "", {}, lambda F, t, x: x + 1.5),
        ("sub_scalar", "", {}, lambda F, t, x: x - 1.5),
        ("mul_scalar", "", {}, lambda F, t, x: x * -2.5),
        ("div_scalar", "", {}, lambda F, t, x: x / 3.0),
        ("pow_scalar", "2", {}, lambda F, t, x: x.pow(2.0)),
        ("pow_scalar", "3", {}, lambda F, t, x: x.pow(3.0)),
        ("pow_scalar", "0", {}, lambda F, t, x: x.pow(0.0)),
        ("pow_scalar", "0.5", positive, lambda F, t, x: x.pow(0.5)),
        ("pow_scalar", "-1.5", positive, lambda F, t, x: x.pow(-1.5)),
        ("operator +", "a number", {}, lambda F, t, x: x + 0.5),
        ("operator *", "a number", {}, lambda F, t, x: x * 0.5),
        ("operator -", "a number", {}, lambda F, t, x: x - 0.5),
        ("operator /", "a number", {}, lambda F, t, x: x / 0.5),
    ]
    for op, options, fill, run in table:
        what = options + (", " if options else "") + shown(LARGE)
        yield Case(op, what, [Input(LARGE, **fill)], run)
    yield Case("tanh", "more groups than one row", [Input(HUGE)], lambda F, t, x: x.tanh())


def arithmetic():
    not_zero = dict(low=0.2, high=2.0)
    table = [
        ("add", {}, {}, lambda F, t, x, y: x + y),
        ("sub", {}, {}, lambda F, t, x, y: x - y),
        ("mul", {}, {}, lambda F, t, x, y: x * y),
        ("div", {}, not_zero, lambda F, t, x, y: x / y),
        ("pow", not_zero, {}, lambda F, t, x, y: x.pow(y)),
        ("minimum", {}, {}, lambda F, t, x, y: x.minimum(y)),
        ("maximum", {}, {}, lambda F, t, x, y: x.maximum(y)),
        ("operator +", {}, {}, lambda F, t, x, y: x + y),
        ("operator -", {}, {}, lambda F, t, x, y: x - y),
        ("operator *", {}, {}, lambda F, t, x, y: x * y),
        ("operator /", {}, not_zero, lambda F, t, x, y: x / y),
    ]
    for op, fill_x, fill_y, run in table:
        for y in [LARGE, [16, 1, 1]]:
            yield Case(op, f"{shown(LARGE)} {shown(y)}", [Input(LARGE, **fill_x), Input(y, **fill_y)], run)


def reduce():
    table = [
        ("sum", True, lambda x, dims: x.sum(dims)),
        ("mean", True, lambda x, dims: x.mean(dims)),
        ("var", True, lambda x, dims: x.var(dims, correction=0)),
        ("var, correction 1", True, lambda x, dims: x.var(dims, correction=1)),
        ("max", True, lambda x, dims: extreme(x, dims, "max")),
        ("min", True, lambda x, dims: extreme(x, dims, "min")),
        ("argmax", False, lambda x, dims: rows(x, dims).argmax(-1)),
    ]
    for shape, dims in [(LARGE, [0, 2, 3]), ([1024, 1025], [1]), (LARGE, [])]:
        for op, gradient, run in table:
            what = f"{shown(shape)} over {shown(dims)}"
            over = dims or list(range(len(shape)))
            yield Case(op, what, [Input(shape)], lambda F, t, x, r=run, o=over: r(x, o), gradient=gradient)


def rows(x, dims):
    """The reduced dimensions last, as one: PyTorch's max with indices takes no more than one."""
    kept = [d for d in range(x.dim()) if d not in dims]
    return x.permute(kept + dims).flatten(len(kept))


def extreme(x, dims, which):
    return getattr(rows(x, dims), which)(-1)[0]


def layout():
    yield Case("permute", "channels last", [Input(LARGE)], lambda F, t, x: x.permute(0, 2, 3, 1).contiguous())
    yield Case("t", "1024 x 1025", [Input([1024, 1025])], lambda F, t, x: x.t().contiguous())
    to_image = lambda F, t, x: x.expand(LARGE).contiguous()
    yield Case("expand", "a channel to an image", [Input([16, 1, 1])], to_image)
    yield Case("slice", "every other column", [Input(LARGE)], lambda F, t, x: x[..., 0:32:2].contiguous())
    yield Case("pad", "images", [Input(LARGE)], lambda F, t, x: F.pad(x, (1, 1, 1, 1)))
    inputs = [Input([1000, 768]), Input([1000], below=1000)]
    yield Case("index_select", "an epoch's order", inputs, lambda F, t, x, i: x.index_select(0, i))


def matmul():
    pairs = [([129, 257], [257, 65]), ([512, 512], [512, 512]), ([8, 65, 127], [8, 127, 66])]
    for x, y in pairs:
        inputs = [Input(x), Input(y)]
        yield Case("matmul", f"{shown(x)} {shown(y)}", inputs, lambda F, t, x, y: x @ y, products=True)
    for x, w in [([64, 512], [32, 512]), ([65, 1152], [33, 1152])]:
        inputs = [Input(x), Input(w), Input(w[:1])]
        what = f"{shown(x)} {shown(w)}"
        yield Case("linear", what + ", bias", inputs, lambda F, t, x, w, b: F.linear(x, w, b), products=True)
        yield Case("linear", what + ", no bias", inputs[:2], lambda F, t, x, w: F.linear(x, w), products=True)


def conv():
    table = [
        ("the baseline's first", [64, 3, 32, 32], [16, 3, 3, 3], dict(padding=1)),
        ("the baseline's second", [64, 16, 16, 16], [8, 16, 3, 3], dict(padding=1)),
        ("blocks that do not divide", [3, 19, 37, 41], [21, 19, 3, 3], dict(padding=1)),
        ("a residual block", [8, 32, 16, 16], [32, 32, 3, 3], dict(padding=1)),
        ("two groups, many places", [32, 4, 16, 16], [6, 2, 3, 3], dict(padding=1, groups=2)),
        (
            "stride, many places",
            [16, 18, 33, 31],
            [20, 18, 3, 3],
            dict(stride=(2, 3), padding=(1, 2), dilation=(1, 2)),
        ),
        ("28 x 28, 5 x 5", [32, 1, 28, 28], [16, 1, 5, 5], dict(padding=2)),
        ("a nodule's first block", [2, 1, 32, 48, 48], [8, 1, 3, 3, 3], dict(padding=1)),
        ("a nodule's second block", [1, 8, 16, 24, 24], [16, 8, 3, 3, 3], dict(padding=1)),
        ("blocks that do not divide", [1, 5, 9, 17, 19], [7, 5, 3, 3, 3], dict(padding=1)),
    ]
    for what, x, w, options in table:
        op = f"conv{len(x) - 2}d"
        run = lambda F, t, x, w, b=None, op=op, options=options: getattr(F, op)(x, w, b, **options)
        inputs = [Input(x), Input(w), Input(w[:1])]
        yield Case(op, what + ", bias", inputs, run, images=True, products=True)
        yield Case(op, what, inputs[:2], run, images=True, products=True)


def pool():
    table = [
        ("the baseline's first", LARGE, dict(kernel_size=2)),
        ("overlapping images", [64, 16, 33, 31], dict(kernel_size=3, stride=2, padding=1)),
        ("a nodule's first block", [2, 8, 32, 48, 48], dict(kernel_size=2)),
    ]
    for what, x, options in table:
        d = f"{len(x) - 2}d"
        largest = lambda F, t, x, d=d, o=options: getattr(F, "max_pool" + d)(x, **o)
        mean = lambda F, t, x, d=d, o=options: getattr(F, "avg_pool" + d)(x, **o)
        inside = lambda F, t, x, d=d, o=options: getattr(F, "avg_pool" + d)(x, count_include_pad=False, **o)
        yield Case("max_pool" + d, what, [Input(x)], largest, images=True)
        yield Case("avg_pool" + d, what, [Input(x)], mean, images=True)
        yield Case("avg_pool" + d, what + ", the margin does not count", [Input(x)], inside, images=True)
    x = [32, 64, 17, 19]
    largest = lambda F, t, x: F.adaptive_max_pool2d(x, 1)
    yield Case("global_max_pool", shown(x), [Input(x)], largest, images=True)
    yield Case("global_avg_pool", shown(x), [Input(x)], lambda F, t, x: x.mean((2, 3)), images=True)


def batch_norm():
    for x in [LARGE, [7, 33, 19, 13], [2, 1, 32, 48, 48]]:
        channel = x[1:2]
        weight, var = Input(channel, 0.5, 1.5), Input(channel, 0.5, 2.0, fixed=True)
        inputs = [Input(x), weight, Input(channel), Input(channel, fixed=True), var]
        for training in [True, False]:
            # The statistics are copied in Rust too, so that every run starts from the same ones.
            run = lambda F, t, x, w, b, mean, var, training=training: F.batch_norm(
                x, mean.clone(), var.clone(), w, b, training, 0.1, 1e-5
            )
            what = shown(x) + (", training" if training else ", evaluation")
            yield Case("batch_norm", what, inputs, run, images=True)
        plain = lambda F, t, x: F.batch_norm(x, None, None, None, None, True, 0.1, 1e-3)
        yield Case("batch_norm", shown(x) + ", no weight, no statistics", inputs[:1], plain, images=True)


def dropout():
    yield Case("dropout", "an activation", [Input(LARGE)], lambda F, t, x: F.dropout(x, 0.4))
    channels = lambda F, t, x: F.dropout2d(x, 0.4)
    yield Case("dropout_channels", "an activation", [Input(LARGE)], channels, images=True)


def softmax():
    for x in [[128, 1000], [64, 10, 33]]:
        what = f"{shown(x)}, dimension 1"
        yield Case("softmax", what, [Input(x, -4.0, 4.0)], lambda F, t, x: x.softmax(1))
        yield Case("log_softmax", what, [Input(x, -4.0, 4.0)], lambda F, t, x: x.log_softmax(1))


def losses():
    for reduction in ["none", "mean", "sum"]:
        for weighted in [False, True]:
            for ignore in [None, 0]:
                for smoothing in [0.0, 0.2]:
                    yield from class_losses(reduction, weighted, ignore, smoothing)
    for reduction in ["none", "mean", "sum"]:
        yield from pairwise_losses(reduction)
        for weighted in [False, True]:
            yield from binary_losses(reduction, weighted)


def class_losses(reduction, weighted, ignore, smoothing):
    n, classes = 257, 1000
    what = f"{shown([n, classes])}, {reduction}"
    what += ", weights" * weighted + ", ignoring 0" * (ignore is not None) + ", smoothed" * (smoothing > 0)
    weight = Input([classes], 0.3, 2.0, fixed=True)
    inputs = [Input([n, classes], -3.0, 3.0), Input([n], below=classes), weight]
    options = dict(reduction=reduction, ignore_index=-100 if ignore is None else ignore)

    def nll(F, t, x, labels, w):
        return F.nll_loss(x, labels, w if weighted else None, **options)

    def cross_entropy(F, t, x, labels, w):
        return F.cross_entropy(x, labels, w if weighted else None, label_smoothing=smoothing, **options)

    if smoothing == 0:
        yield Case("nll_loss", what, inputs, nll)
    yield Case("cross_entropy", what, inputs, cross_entropy)


def pairwise_losses(reduction):
    shape = [300, 301]
    what = f"{shown(shape)}, {reduction}"
    pair = [Input(shape), Input(shape)]
    yield Case("mse_loss", what, pair, lambda F, t, x, y: F.mse_loss(x, y, reduction=reduction))
    yield Case("l1_loss", what, pair, lambda F, t, x, y: F.l1_loss(x, y, reduction=reduction))
    for delta in [1, 0.3]:
        huber = lambda F, t, x, y, d=delta: F.huber_loss(x, y, reduction=reduction, delta=d)
        yield Case("huber_loss", f"{what}, delta {delta}", pair, huber)


def binary_losses(reduction, weighted):
    shape = [300, 301]
    what = f"{shown(shape)}, {reduction}" + ", weights" * weighted
    target, weight = Input(shape, 0.0, 1.0, fixed=True), Input(shape, 0.3, 2.0, fixed=True)
    plain = lambda F, t, x, y, w: F.binary_cross_entropy(x, y, w if weighted else None, reduction=reduction)
    yield Case("binary_cross_entropy", what, [Input(shape, 0.1, 0.9), target, weight], plain)
    for positive in [False, True]:

        def with_logits(F, t, x, y, w, p, positive=positive):
            options = dict(weight=w if weighted else None, pos_weight=p if positive else None)
            return F.binary_cross_entropy_with_logits(x, y, reduction=reduction, **options)

        inputs = [Input(shape, -3.0, 3.0), target, weight, Input(shape[-1:], 0.3, 2.0, fixed=True)]
        name = what + ", positives weighted" * positive
        yield Case("binary_cross_entropy_with_logits", name, inputs, with_logits)


def grid_sample():
    x = [2, 1, 32, 48, 48]
    for align in [False, True]:
        for mode in ["zeros", "border"]:

            def through(F, t, volume, theta, mode=mode, align=align):
                grid = F.affine_grid(theta, x, align_corners=align)
                return F.grid_sample(volume, grid, padding_mode=mode, align_corners=align)

            what = f"through an affine grid, {mode}" + ", align_corners" * align
            inputs = [Input(x), Input([2, 3, 4], -0.8, 0.8, fixed=True)]
            yield Case("grid_sample3d", what, inputs, through)
