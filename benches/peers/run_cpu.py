#!/usr/bin/env python3
"""Training steps of the lessons' networks on the processor: voxgrad, PyTorch, candle and burn, in turns.

    python3 benches/peers/run_cpu.py                 everything, into benches/results/cpu.md, cpu.json and pictures
    python3 benches/peers/run_cpu.py --quick         everything in a few rounds, into target/peers/
    python3 benches/peers/run_cpu.py --only luna     the steps whose names hold this, into target/peers/

One command does all: it builds voxgrad and the peers, and makes a virtual environment with PyTorch unless this Python
has it (or --python names one that does). In each round every contestant starts from the same weights and does some
steps, a few more than are timed; a contestant's time is the median of its rounds. Stopped in the middle, what was
measured is in cpu.json, and page.py makes the page of it.
"""

import argparse
import dataclasses
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import curves
import page
from contest import LeftOut, enter, play
from setup_cpu import ROOT, TARGET, busy_seconds, cargo, contestants, limits, own_seconds
from setup_cpu import processor, rust_peers, use_python, versions, without
from steps import STEPS, write

# The loss after so many steps must be PyTorch's within so much.
AFTER, WITHIN = 100, 1e-4


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--python", help="a Python with PyTorch, numpy and matplotlib")
    parser.add_argument("--quick", action="store_true", help="few rounds, to try it out")
    parser.add_argument("--only", default="", help="the steps whose names hold this: baseline, luna")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="a contestant to leave out")
    parser.add_argument("--steps-alone", action="store_true", help="no losses, curves and loader")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of everybody")
    parser.add_argument("--rounds", type=int, help="9, or 3 with --quick")
    parser.add_argument("--turn", type=float, help="seconds of steps in a round: 0.3, or 0.1 with --quick")
    parser.add_argument("--patience", type=float, help="seconds to load or compile: 240, or 60 with --quick")
    parser.add_argument("--out", type=Path, help="the folder for the results")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (3 if chosen.quick else 9)
    chosen.turn = chosen.turn or (0.1 if chosen.quick else 0.3)
    chosen.patience = chosen.patience or (60 if chosen.quick else 240)
    partly = chosen.quick or chosen.only or chosen.without or chosen.steps_alone
    chosen.out = chosen.out or (TARGET if partly else ROOT / "benches" / "results")
    return chosen


def compare(entries, step, file, seconds):
    """The losses after AFTER steps, here and in eager PyTorch, or why they cannot be compared."""
    if step.net == "dropout":
        return dict(why="its random numbers are others than PyTorch's")
    named = lambda name: next((entry for entry in entries if entry.contestant.name.startswith(name)), None)
    both = [named("voxgrad"), named("PyTorch, eager")]
    if None in both:
        return dict(why="one of the two did not run")
    cost = sum(entry.seconds for entry in both) * (AFTER + 1)
    if cost > seconds:
        return dict(why=f"it would take {cost:.0f} s")
    load = dataclasses.replace(step, lr=step.compared_lr or step.lr).load(file)
    try:
        for entry in both:
            entry.contestant.ask(load, 60)
        # The loss of a step is that before its update.
        losses = [entry.contestant.ask(f"run {AFTER + 1}", 60 + 10 * cost)["losses"] for entry in both]
    except LeftOut as error:
        return dict(why=str(error))
    worst = max(abs(a - b) for a, b in zip(*losses))
    return dict(ours=losses[0][-1], torch=losses[1][-1], worst=worst, within=WITHIN, lr=step.compared_lr)


def missed(row):
    found = page.ratio(row)
    return found is not None and found[3] > row["target"]


def profile(entries):
    """Where voxgrad's time goes, in some steps that take about a second."""
    ours = next(entry for entry in entries if entry.contestant.name == page.OURS)
    steps = max(2, round(1 / ours.seconds))
    ours.contestant.ask("run 2", 60)
    return dict(ours.contestant.ask(f"profile {steps}", 60), steps=steps)


def measure_steps(chosen, everybody, machine, results, save):
    """The rounds of every step, and the losses."""
    steps = [step for step in STEPS if chosen.only in step.name]
    began = time.monotonic()
    for number, step in enumerate(steps):
        left = (time.monotonic() - began) / number * (len(steps) - number) if number else None
        estimate = f", about {left / 60:.0f} minutes left for the steps" if left is not None else ""
        print(f"[{number + 1}/{len(steps)}] {step.name}{estimate}", flush=True)
        file = TARGET / "start" / f"{step.net}-{step.batch}.safetensors"
        write(step, file)
        results["fma"].append(fma_now(machine))
        left_out = {}
        entries = enter(everybody, step, file, chosen.patience, left_out)
        times = play(entries, chosen.rounds, chosen.turn, left_out)
        row = dict(name=step.name, batch=step.batch, target=step.target, times=times, left_out=left_out)
        if missed(row):
            row["profile"] = profile(entries)
        if not chosen.steps_alone:
            row["losses"] = compare(entries, step, file, 15 if chosen.quick else 120)
        results["steps"].append(row)
        for line in page.lines_of(row):
            print("   ", line, flush=True)
        save()
    for contestant in everybody:
        contestant.stop()


def fma_now(machine):
    return float(subprocess.run([machine, "fma"], capture_output=True, text=True, check=True).stdout)


def loaders(ours, quick):
    """Seconds per batch that loading takes, by itself and during steps; LUNA's from its own bench."""
    found = json.loads(subprocess.run([ours, "loader"], capture_output=True, text=True, check=True).stdout)
    command = ["cargo", "bench", "--no-default-features", "--bench", "luna_loader", "--", "batch 32"]
    command += ["--quick"] * quick
    print("Running:", " ".join(command), flush=True)
    began = time.time()
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found["luna"] = {}
    # What criterion keeps of every measurement.
    for file in sorted((TARGET.parent / "criterion").glob("*luna*/*/new/estimates.json")):
        if file.stat().st_mtime >= began:
            name = json.loads(file.with_name("benchmark.json").read_text())["full_id"].split("/")[1]
            found["luna"][name] = json.loads(file.read_text())["median"]["point_estimate"] / 1e9
    return found


def main():
    chosen = arguments()
    use_python(chosen.python)
    (TARGET / "start").mkdir(parents=True, exist_ok=True)
    chosen.out.mkdir(parents=True, exist_ok=True)
    wanted = lambda name: not any(word in name for word in chosen.without)
    left_out = {}
    try:
        ours = cargo(["--no-default-features", "--bench", "cpu_steps"], ROOT)["cpu_steps"]
        machine = limits()
    except RuntimeError as error:
        sys.exit(f"It was not built: {error}")
    programs = rust_peers(left_out, wanted)

    load = os.getloadavg()[0]
    if load > 0.3 * chosen.threads:
        print(f"This machine is busy (load {load:.1f}): the times will be wrong", flush=True)
    began, busy, own = time.monotonic(), busy_seconds(), own_seconds()
    print("Measuring the machine's limits", flush=True)
    results = dict(
        date=str(datetime.date.today()),
        command=" ".join(["python3 benches/peers/run_cpu.py", *without(sys.argv[1:], "--python")]),
        processor=processor(),
        threads=chosen.threads,
        rounds=chosen.rounds,
        load=load,
        versions=versions(),
        machine=json.loads(subprocess.run([machine], capture_output=True, text=True, check=True).stdout),
        left_out=left_out,
        fma=[],
        steps=[],
    )

    def save():
        if busy is not None:
            # Not exact before the contestants have ended.
            results["seconds"] = time.monotonic() - began
            results["others"] = (busy_seconds() - busy - own_seconds() + own) / results["seconds"]
        (chosen.out / "cpu.json").write_text(json.dumps(results) + "\n")

    everybody = contestants(ours, programs, chosen.threads, wanted)
    try:
        measure_steps(chosen, everybody, machine, results, save)
        if not chosen.steps_alone:
            by_name = {contestant.name: contestant for contestant in everybody}
            print("Time and memory against batch size and depth", flush=True)
            results["curves"] = curves.measure(by_name, chosen.quick)
            save()
            print("Loading", flush=True)
            results["loader"] = loaders(ours, chosen.quick)
        results["fma"].append(fma_now(machine))
    finally:
        for contestant in everybody:
            contestant.stop()
        save()
    page.write(results, chosen.out)
    print(f"Written: {chosen.out / 'cpu.md'}, in {(time.monotonic() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
