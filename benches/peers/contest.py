"""Contestants: processes that are asked for training steps, in turns."""

import json
import os
import select
import signal
import statistics
import subprocess
import time

# A step is slow when it takes so many times as long as the fastest, and very slow beyond the second number.
SLOW, VERY_SLOW = 1.5, 5.0


class LeftOut(Exception):
    """Why a contestant has no time."""


class Contestant:
    """A program that is asked as rust/src/serve.rs says. It starts with the first question."""

    def __init__(self, name, command, environment, errors):
        self.name, self.command = name, [str(word) for word in command]
        self.environment = {**os.environ, **environment}
        self.errors, self.process = errors, None

    def start(self):
        self.buffer = b""
        with open(self.errors, "ab") as errors:
            pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
            # A session of its own, so that its compilers end with it.
            self.process = subprocess.Popen(
                self.command, env=self.environment, bufsize=0, start_new_session=True, **pipes
            )

    def ask(self, line, patience):
        """The answer to `line`; one that takes longer than `patience` seconds ends the process."""
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write(f"{line}\n".encode())
        except BrokenPipeError:
            self.stop()
            raise LeftOut("it has ended") from None
        until = time.monotonic() + patience
        while b"\n" not in self.buffer:
            if not select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                self.stop()
                raise LeftOut(f"no answer to {line.split()[0]} in {patience:.0f} s")
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                status = self.process.wait()
                self.stop()
                raise LeftOut(f"it ended with status {status}")
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\n", 1)
        answer = json.loads(text)
        if "error" in answer:
            raise LeftOut(answer["error"])
        return answer

    def stop(self):
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.process = None


class Entry:
    """What a contestant did in one step's rounds."""

    def __init__(self, contestant, seconds):
        self.contestant, self.seconds = contestant, seconds
        self.warm, self.steps, self.rounds, self.times = 1, 1, 1, []

    def plan(self, fastest, turn, rounds):
        """So many steps that a turn takes about `turn` seconds; the slow get fewer rounds."""
        self.warm = 1 if self.seconds > turn else 2
        self.steps = min(200, max(1, round(turn / self.seconds)))
        slowness = self.seconds / fastest
        self.rounds = rounds if slowness < SLOW else min(rounds, 3) if slowness < VERY_SLOW else 1

    def turn(self):
        count = self.warm + self.steps
        answer = self.contestant.ask(f"run {count}", 60 + 20 * count * self.seconds)
        self.times.append(statistics.fmean(answer["seconds"][self.warm :]))
        return answer


def enter(contestants, step, file, patience, left_out, expected=None):
    """Loads `step` into each, and has it take two steps: who can take part, and how fast about."""
    entries = []
    for contestant in contestants:
        try:
            loaded = contestant.ask(step.load(file), patience)
            if expected not in (None, loaded["parameters"]):
                raise LeftOut(f"{loaded['parameters']} parameters instead of {expected}")
            expected = loaded["parameters"]
            seconds = contestant.ask("run 2", patience)["seconds"]
            entries.append(Entry(contestant, min(seconds)))
        except LeftOut as error:
            left_out[contestant.name] = str(error)
    return entries


def play(entries, rounds, turn, left_out):
    """The rounds: in each, everybody has a turn, and another one begins."""
    fastest = min((entry.seconds for entry in entries), default=1.0)
    for entry in entries:
        entry.plan(fastest, turn, rounds)
    for number in range(rounds):
        first = number % max(1, len(entries))
        for entry in entries[first:] + entries[:first]:
            if number >= entry.rounds or entry.contestant.name in left_out:
                continue
            # The threads of the one before go on looking for work for a moment.
            time.sleep(0.02)
            try:
                entry.turn()
            except LeftOut as error:
                left_out[entry.contestant.name] = str(error)
    return {
        entry.contestant.name: dict(times=entry.times, steps=entry.steps)
        for entry in entries
        if entry.times and entry.contestant.name not in left_out
    }


def median(times):
    return statistics.median(times)


def spread(times):
    """Half of what lies between the quartiles, relative to the median; None of too few."""
    if len(times) < 3:
        return None
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return (high - low) / 2 / median(times)
