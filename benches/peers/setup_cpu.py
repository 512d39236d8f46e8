"""What run_cpu.py runs: builds it, finds it, and says on which machine and in which versions."""

import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from contest import Contestant

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / "target" / "peers"
# Bytes from which glibc takes memory from the system for each tensor alone and gives it back, so that every step pays
# for new pages; these are larger than any tensor here.
RAISED = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 28),
}
WAYS = ["eager", "channels-last", "compiled"]


def use_python(wanted):
    """Goes on in a Python that has PyTorch: `wanted`, this one, or one in a new virtual environment."""
    rest = without(sys.argv, "--python")
    if wanted and not same_program(wanted, sys.executable):
        if subprocess.run([wanted, "-c", "import torch"], capture_output=True).returncode:
            sys.exit(f"{wanted} has no PyTorch: {wanted} -m pip install torch numpy matplotlib")
        os.execv(wanted, [wanted, *rest])
    if importlib.util.find_spec("torch"):
        return
    folder = TARGET / "venv"
    if same_program(sys.prefix, folder):
        sys.exit(f"PyTorch is not in {folder}: delete that folder, and it is made again")
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"Making a virtual environment with PyTorch in {folder}; --python PROGRAM uses another", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        index = ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]
        packages = ["torch", "numpy", "matplotlib", "setuptools"]
        subprocess.run([python, "-m", "pip", "install", "-q", *index, *packages], check=True)
    os.execv(python, [str(python), *rest])


def same_program(one, other):
    # Not resolved: the Python of a virtual environment is a link to another.
    return Path(one).absolute() == Path(other).absolute()


def without(arguments, option):
    """The arguments less an option with its value."""
    kept = [word for word in arguments if not word.startswith(option + "=")]
    if option in kept:
        at = kept.index(option)
        kept[at : at + 2] = []
    return kept


def cargo(arguments, folder, environment=None):
    """The programs that a build makes, by name. RuntimeError with the first error where it fails."""
    command = ["cargo", "build", "--release", "--message-format=json-render-diagnostics", *arguments]
    print(f"Building: {' '.join(command)}", flush=True)
    environment = {**os.environ, **(environment or {})}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.startswith("error")]
        raise RuntimeError(lines[0] if lines else result.stderr.strip()[-200:])
    messages = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return {m["target"]["name"]: m["executable"] for m in messages if m.get("executable")}


def limits():
    """The program that measures what the machine can do."""
    program = TARGET / "machine"
    command = ["rustc", "-O", "--edition", "2024", HERE / "machine.rs", "-o", program]
    print("Building:", *command, flush=True)
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr.strip()[:200])
    return program


def rust_peers(left_out, wanted):
    """candle, candle with MKL and burn, compiled for this very processor, which voxgrad is not."""
    programs = {}
    ways = [("candle", "candle", "candle"), ("candle, MKL", "candle-mkl", "candle"), ("burn", "burn", "burn")]
    for name, feature, program in ways:
        if not wanted(name):
            continue
        # A folder of its own for MKL, whose candle is another one of the same name.
        folder = TARGET / ("rust-mkl" if feature == "candle-mkl" else "rust")
        environment = dict(RUSTFLAGS="-C target-cpu=native", CARGO_TARGET_DIR=str(folder))
        try:
            built = cargo(["--features", feature, "--bin", program], HERE / "rust", environment)
            programs[name] = built[program]
        except RuntimeError as error:
            left_out[name] = f"it was not built: {error}"
    return programs


def contestants(ours, programs, threads, wanted):
    """voxgrad first."""
    common = dict(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads))
    commands = [("voxgrad", [ours], {})]
    for way in WAYS:
        command = [sys.executable, HERE / "torch_cpu.py", way]
        commands.append((f"PyTorch, {way}", command, {}))
        commands.append((f"PyTorch, {way}, thresholds raised", command, RAISED))
    commands += [(name, [program], {}) for name, program in programs.items()]
    errors = TARGET / "errors.log"
    errors.unlink(missing_ok=True)
    return [
        Contestant(name, command, {**common, **more}, errors)
        for name, command, more in commands
        if wanted(name)
    ]


def said(command):
    """What a program prints, or nothing."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def versions():
    import torch

    lock = (HERE / "rust" / "Cargo.lock").read_text()
    locked = lambda name: re.search(rf'name = "{name}"\nversion = "(.*)"', lock).group(1)
    commit = said(["git", "describe", "--always", "--dirty", "--exclude", "*"])
    return {
        "voxgrad": commit or "unknown",
        "PyTorch": torch.__version__,
        "candle": locked("candle-core"),
        "burn": locked("burn"),
        "rustc": said(["rustc", "--version"]).removeprefix("rustc ").split(" ")[0],
        "Python": platform.python_version(),
    }


def processor():
    try:
        names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def busy_seconds():
    """Seconds of processor time that the whole machine has spent since its start; None where that is unknown."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """Seconds of processor time that this program and what it has waited for have spent."""
    return sum(os.times()[:4])
