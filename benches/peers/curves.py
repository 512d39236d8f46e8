"""How time and memory grow with the batch and with the depth, and whether they stay the same over 1,000 steps."""

import csv
import statistics

from contest import LeftOut
from setup_cpu import TARGET
from steps import Step, deep, write

# In voxgrad, and in the way of PyTorch that needs no compiler, at its best.
WHO = ["voxgrad", "PyTorch, eager, thresholds raised"]
BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
BLOCKS = [1, 2, 5, 10, 20, 50, 100]
COLUMNS = ["curve", "x", "who", "seconds an image", "bytes a step", "bytes of tensors after forward"]


def measure(contestants, quick):
    who = [contestants[name] for name in WHO if name in contestants]
    batches, blocks = (BATCHES[::5], BLOCKS[::3]) if quick else (BATCHES, BLOCKS)
    points = [point(who, "batch", Step("baseline", batch), batch, quick) for batch in batches]
    points += [point(who, "blocks", deep(n), n, quick) for n in blocks]
    return dict(points=sum(points, []), long=[long_run(one, 100 if quick else 1000) for one in who])


def start_of(step):
    file = TARGET / "start" / f"{step.net}-{step.batch}.safetensors"
    write(step, file)
    return file


def point(who, curve, step, x, quick):
    """Both, in new processes and in turns: the median of five turns, and what a step adds to the process's memory."""
    print(f"    {step.name}", flush=True)
    file, rows = start_of(step), []
    # What the process holds when its libraries are loaded and its threads run is not the step's.
    small = Step("baseline", 1) if curve == "batch" else deep(1, batch=1)
    small_file = start_of(small) if small != step else file
    for one in who:
        row = dict(curve=curve, x=x, who=one.name, times=[])
        rows.append(row)
        one.stop()
        try:
            one.ask(small.load(small_file), 60)
            before = one.ask("run 3", 60)["peak"]
            one.ask(step.load(file), 60)
            answer = one.ask("run 3", 600)
            row.update(seconds=min(answer["seconds"]), bytes=answer["peak"] - before, held=answer["held"])
        except LeftOut as error:
            row["left_out"] = str(error)
    for _ in range(2 if quick else 5):
        for one, row in zip(who, rows):
            if "left_out" in row:
                continue
            count = 2 + min(50, max(1, round(0.15 / row["seconds"])))
            try:
                seconds = one.ask(f"run {count}", 60 + 20 * count * row["seconds"])["seconds"][2:]
                row["times"].append(statistics.fmean(seconds) / step.batch)
            except LeftOut as error:
                row["left_out"] = str(error)
    for one in who:
        one.stop()
    return rows


def long_run(one, steps):
    """Memory and time of the baseline's steps, a thousand of them, in a new process."""
    step = Step("baseline", 64)
    print(f"    {step.name}: {steps} steps by {one.name}", flush=True)
    one.stop()
    try:
        one.ask(step.load(start_of(step)), 60)
        answer = one.ask(f"run {steps}", 600)
    except LeftOut as error:
        return dict(who=one.name, left_out=str(error))
    finally:
        one.stop()
    return dict(who=one.name, rss=answer["rss"], seconds=answer["seconds"])


def save(curves, folder):
    """The points as a table for others to draw."""
    with open(folder / "cpu-curves.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for p in measured(curves):
            # 0 means that it is not known.
            table.writerow([p["curve"], p["x"], p["who"], statistics.median(p["times"]), p["bytes"], p["held"] or ""])


def measured(curves):
    return [p for p in curves["points"] if p["times"]]


def draw(curves, folder):
    """cpu-batch.png and cpu-depth.png: time and memory, side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    titles = {
        "batch": ("The baseline's step, by its batch", "images in a batch"),
        "blocks": ("The step of res-deep, batch 64, by its blocks", "residual blocks"),
    }
    for curve, (title, x_label) in titles.items():
        points = [p for p in measured(curves) if p["curve"] == curve]
        figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
        figure.suptitle(title)
        for who, colour in zip(WHO, ["#1b6ca8", "#d1603d"]):
            mine = [p for p in points if p["who"] == who]
            x = [p["x"] for p in mine]
            style = dict(marker="o", markersize=4, color=colour, label=who)
            panels[0].plot(x, [1e6 * statistics.median(p["times"]) for p in mine], **style)
            # The first point has nothing to add to itself.
            panels[1].plot(x, [p["bytes"] / 2**20 for p in mine], **style)
            held = [(p["x"], p["held"] / 2**20) for p in mine if p["held"]]
            if held:
                style.update(label=f"{who}: tensors alive after forward", linestyle="--", marker=None)
                panels[1].plot(*zip(*held), **style)
        for panel, y_label in zip(panels, ["µs an image", "MiB a step"]):
            panel.set(xlabel=x_label, ylabel=y_label)
            panel.grid(color="#dddddd", linewidth=0.6)
            panel.spines[["top", "right"]].set_visible(False)
            panel.legend(frameon=False, fontsize=9)
            if curve == "batch":
                panel.set_xscale("log", base=2)
                panel.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:.0f}"))
            panel.set_ylim(bottom=0)
        if curve == "batch":
            panels[1].set_yscale("symlog", linthresh=1, base=10)
            panels[1].yaxis.set_major_formatter(ticker.FuncFormatter(lambda y, _: f"{y:g}"))
            panels[1].set_ylim(bottom=0)
        figure.savefig(folder / f"cpu-{'batch' if curve == 'batch' else 'depth'}.png", dpi=110)
        pyplot.close(figure)
