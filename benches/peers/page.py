#!/usr/bin/env python3
"""The page of what run_cpu.py measured.

    python3 benches/peers/page.py FOLDER     writes FOLDER/cpu.md, and its pictures, from FOLDER/cpu.json again
"""

import json
import statistics
import sys
from pathlib import Path

import curves
from contest import median, spread

OURS = "voxgrad"
AT_REST = 10


def ms(seconds):
    return f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:.0f}"


def percent(share):
    return "" if share is None else f"± {100 * share:.1f}%"


def counted(n, what):
    return f"{n} {what}{'s' * (n != 1)}"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def ratio(step):
    """voxgrad's time, the fastest peer and its time, and the ratio; None where one of the two is missing."""
    peers = {who: median(found["times"]) for who, found in step["times"].items() if who != OURS}
    if not peers or OURS not in step["times"]:
        return None
    best = min(peers, key=peers.get)
    ours = median(step["times"][OURS]["times"])
    return ours, best, peers[best], ours / peers[best]


def lines_of(step):
    """A step for the terminal."""
    lines = [
        f"{who}: {ms(median(found['times']))} ms {percent(spread(found['times']))}"
        for who, found in sorted(step["times"].items(), key=lambda entry: median(entry[1]["times"]))
    ]
    lines += [f"{who}: left out, {why}" for who, why in step["left_out"].items()]
    found = ratio(step)
    if found:
        lines.append(f"ratio {found[3]:.2f}, wanted at most {step['target']}")
    if "losses" in step:
        lines.append("loss: " + loss_of(step["losses"]))
    return lines


def loss_of(losses):
    if "why" in losses:
        return f"not compared: {losses['why']}"
    apart = abs(losses["ours"] - losses["torch"])
    verdict = "equal" if apart <= losses["within"] else "NOT equal"
    lr = f", with a learning rate of {losses['lr']:g}" if losses.get("lr") else ""
    return f"{losses['ours']:.6f} and {losses['torch']:.6f}, {verdict} within {losses['within']:g}{lr}"


def head(results):
    machine, made = results["machine"], results["versions"]
    yield from ["# Training steps on the CPU, beside PyTorch, candle and burn", ""]
    yield "A step is forward, loss, zero_grad, backward, optimizer step and the loss read back; its data lies in"
    yield "memory. In each round every contestant begins with the same weights and does some steps, the first of"
    yield "them untimed; the next round begins with another contestant. A time is the median of the rounds, the"
    yield "spread half of what lies between their quartiles. Whoever is slow gets fewer rounds."
    yield ""
    yield f"- {results['date']}, {results['processor']}, {machine['cores']} cores, {machine['vectors']};" + (
        f" {results['threads']} threads for everybody"
    )
    yield "- " + ", ".join(f"{name} {version}" for name, version in made.items())
    yield f"- `{results['command'].strip()}`, {results.get('seconds', 0) / 60:.0f} minutes"
    yield "- voxgrad is compiled for any processor, as users have it; candle and burn for this one (`target-cpu=native`)"
    rates = results["fma"]
    if rates:
        yield f"- noise: the multiply-add rate of all cores, measured before each step and after all, was {min(rates):.0f} to" + (
            f" {max(rates):.0f} GFLOP/s; other programs took {results.get('others', 0):.2f} cores;"
        ) + f" load {results['load']:.1f} at the start"
    for who, why in results["left_out"].items():
        yield f"- without {who}: {why}"
    yield ""


def summary(results):
    yield from ["## Ratios", "", "voxgrad's time divided by that of the fastest peer.", ""]
    rows = []
    for step in results["steps"]:
        found = ratio(step)
        if found:
            ours, best, peer, share = found
            verdict = "met" if share <= step["target"] else "missed"
            rows.append([step["name"], ms(ours), best, ms(peer), f"**{share:.2f}**", step["target"], verdict])
    yield from table(["step", "voxgrad, ms", "fastest peer", "its ms", "ratio", "wanted", ""], rows)


def same_arithmetic(results):
    rows = [[step["name"], loss_of(step["losses"])] for step in results["steps"] if "losses" in step]
    if rows:
        yield from ["## The same arithmetic", ""]
        yield "The loss after 100 steps from the same weights on the same batch, here and in PyTorch (eager)."
        yield ""
        yield from table(["step", "losses"], rows)


def each(results):
    yield from ["## Everybody's times", ""]
    for step in results["steps"]:
        yield from [f"### {step['name']}", ""]
        ours = median(step["times"][OURS]["times"]) if OURS in step["times"] else None
        rows = []
        for who, found in sorted(step["times"].items(), key=lambda entry: median(entry[1]["times"])):
            own = median(found["times"])
            share = f"{ours / own:.2f}" if ours and who != OURS else ""
            count = f"{found['steps']} in {counted(len(found['times']), 'round')}"
            rows.append([who, ms(own), percent(spread(found["times"])), count, share])
        yield from table(["", "ms", "spread", "steps", "voxgrad's ratio to it"], rows)
        for who, why in step["left_out"].items():
            yield f"- {who}: left out, {why}"
        yield from [""] * bool(step["left_out"])


# Of the shortest rows of a profile, the sum.
SHOWN = 0.02


def profiles(results):
    """Where the time of the steps goes that took longer than was wanted, beside what the machine can do."""
    steps = [step for step in results["steps"] if "profile" in step]
    if not steps:
        return
    yield from ["## Where the time of the missed ones goes", ""]
    peak = max(entry["gflops"] for entry in results["machine"]["fma"])
    copies = [e for e in results["machine"]["copy"] if e["threads"] == results["threads"]]
    large = max(copies or results["machine"]["copy"], key=lambda entry: entry["bytes"])["gbs"]
    yield f"A profile of some steps of each, op by op. The machine's limits are {peak:.0f} GFLOP/s and, for what is"
    yield f"larger than its caches, {large:.1f} GB/s; of a row the share of the first is given where it counts its arithmetic."
    yield "The two last rows say what all the arithmetic would take at the first limit, and what the rest took."
    yield ""
    for step in steps:
        found = step["profile"]
        per_step = lambda seconds: ms(seconds / found["steps"])
        rows, short = [], 0.0
        for phase, op, seconds, flops, moved in sorted(found["rows"], key=lambda row: -row[2]):
            if seconds < SHOWN * found["seconds"]:
                short += seconds
                continue
            rate = f"{flops / seconds / 1e9:.0f}, {100 * flops / seconds / 1e9 / peak:.0f}%" if flops else ""
            bandwidth = f"{moved / seconds / 1e9:.1f}" if moved else ""
            name = f"{phase or 'between'}: {op or 'the host'}"
            rows.append([name, per_step(seconds), f"{100 * seconds / found['seconds']:.0f}%", rate, bandwidth])
        rows.append(["all that is shorter", per_step(short), f"{100 * short / found['seconds']:.0f}%", "", ""])
        ideal = sum(row[3] for row in found["rows"]) / (peak * 1e9)
        rows.append(["the arithmetic alone, at the limit", per_step(ideal), f"{100 * ideal / found['seconds']:.0f}%", "", ""])
        arithmetic = sum(row[2] for row in found["rows"] if row[3])
        rest = found["seconds"] - arithmetic
        rows.append(["ops without counted arithmetic, and the host", per_step(rest), f"{100 * rest / found['seconds']:.0f}%", "", ""])
        yield from [f"### {step['name']}", ""]
        yield from table(["what", "ms a step", "share", "GFLOP/s, of the limit", "GB/s"], rows)


def limits(results):
    machine = results["machine"]
    yield from ["## The machine's limits", "", "`benches/peers/machine.rs`; a copied byte is read and written: 2.", ""]
    rows = [[f"multiply-adds, {counted(e['threads'], 'thread')}", f"{e['gflops']:.0f} GFLOP/s"] for e in machine["fma"]]
    for e in machine["copy"]:
        size = e["bytes"] / 1024
        size = f"{size:.0f} KiB" if size < 1024 else f"{size / 1024:.0f} MiB"
        rows.append([f"copy of {size}, {counted(e['threads'], 'thread')}", f"{e['gbs']:.1f} GB/s"])
    yield from table(["what", "rate"], rows)


def growth(results):
    found = results.get("curves")
    if not found:
        return
    yield from ["## Batch, depth, time", ""]
    yield "Time per image should not depend on the batch once that is large, nor a block's on how many there are."
    yield "Memory is what a step adds to the most that the process ever held; the points are in `cpu-curves.csv`."
    yield from ["", "![Against batch size](cpu-batch.png)", "", "![Against depth](cpu-depth.png)", ""]
    missing = [p for p in found["points"] if "left_out" in p]
    for p in missing:
        yield f"- {p['who']}, {p['curve']} {p['x']}: {p['left_out']}"
    yield from [""] * bool(missing)
    rows = []
    for run in found["long"]:
        if "left_out" in run:
            rows.append([run["who"], run["left_out"], "", "", ""])
            continue
        rss, n = run["rss"], len(run["rss"])
        tenth = n // 10
        early, late = (1e3 * statistics.median(part) for part in (run["seconds"][2:tenth], run["seconds"][-tenth:]))
        grown = (rss[-1] - rss[AT_REST - 1]) / 1024
        rows.append([run["who"], n, f"{rss[AT_REST - 1] / 2**20:.0f} MiB", f"{grown:+.0f} KiB", f"{early:.3g}, {late:.3g}"])
    header = ["baseline, batch 64", "steps", f"process after {AT_REST}", "growth until the last", "ms, first and last tenth"]
    yield from table(header, rows)


def loading(results):
    found = results.get("loader")
    if not found:
        return
    yield from ["## Loading", "", "Does a step wait for its data? On a CPU the loader shares the cores with the step.", ""]
    batch, rows = found["batch"], []
    step = median(found["step"])
    rows.append(["CIFAR-2, the baseline's steps alone", f"{batch / step:,.0f}", ms(step), ""])
    for workers, load, both in zip(range(3), found["load"], found["both"]):
        rows.append([f"CIFAR-2, loading alone, {counted(workers, 'worker')}", f"{batch / median(load):,.0f}", ms(median(load)), ""])
        longer = f"{100 * (median(both) / step - 1):+.1f}%"
        what = f"CIFAR-2, steps with loading, {counted(workers, 'worker')}"
        rows.append([what, f"{batch / median(both):,.0f}", ms(median(both)), longer])
    alone = found["luna"].get("training step")
    for name, seconds in found["luna"].items():
        with_loading = alone and name.startswith("training step,")
        longer = f"{100 * (seconds / alone - 1):+.1f}%" if with_loading else ""
        rows.append([f"LUNA, batch 32: {name}", f"{32 / seconds:,.0f}", ms(seconds), longer])
    yield from table(["what", "images/s", "ms a batch", "longer than the step alone"], rows)


def write(results, folder):
    if "curves" in results:
        curves.save(results["curves"], folder)
        try:
            curves.draw(results["curves"], folder)
        except ImportError:
            print("No pictures: pip install matplotlib")
    parts = [head, summary, profiles, same_arithmetic, each, limits, growth, loading]
    lines = [line for part in parts for line in part(results)]
    if any("profile" in step for step in results["steps"]):
        at = lines.index("## The same arithmetic") if "## The same arithmetic" in lines else len(lines)
        lines[at:at] = (Path(__file__).parent / "cpu_notes.md").read_text().splitlines() + [""]
    (folder / "cpu.md").write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    where = Path(sys.argv[1])
    write(json.loads((where / "cpu.json").read_text()), where)
