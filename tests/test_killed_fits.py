"""Fits that are killed, by kill -9 and other signals, go on with the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import fastntk
import pytest

# Forks fits and kills each; the next goes on with the file. Segments are short, so that groups occur. Ctrl-C reaches a child
# within its `try` only: before and after, it waits.
KILLS = """
import os, random, shutil, signal, sys, time
from pathlib import Path
import numpy as np, fastntk
from fastntk import _checkpoint, _ridge_fit, _segments

path, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
_segments.SEGMENT_ROWS, _segments.GROUP_SEGMENTS = 2048, 3
FLAGS = os.WEXITED | os.WNOHANG | os.WNOWAIT
SIGNALS = [signal.SIGKILL] * 8 + [signal.SIGTERM, signal.SIGINT]
chance = random.Random(seed)

def blocks():
    for i in range(40):
        rng = np.random.default_rng(i)
        X = rng.normal(size=(400 + i, 5)).astype(np.float32)
        yield X, np.sin(X[:, :2]) + X[:, 2:3], rng.random(len(X)) + 0.1

def fit(**how):
    model = fastntk.NTKRegressor(64, random_state=3, features=sys.argv[4], n_threads=2)
    return model.fit(blocks, **how)

whole = fit().coef_

def forked(body):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            code = body()
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    return child

def ended(child):
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -9, -15, 130), code
    return code

def resume(every, path=path):
    same = np.array_equal(fit(checkpoint=path, checkpoint_every=every).coef_, whole)
    return 0 if same and not os.path.exists(path) else 7
"""

# At moments of the clock.
MOMENTS = """
begun = time.perf_counter()
fit()
took = time.perf_counter() - begun
killed = resumed = 0
while True:
    every = chance.choice([700, 3000, 0.01])
    resumed += os.path.exists(path)
    child = forked(lambda: resume(every))
    if killed < kills:
        while killed % 2 == 0 and not os.path.exists(path) and os.waitid(os.P_PID, child, FLAGS) is None:
            time.sleep(1e-3)
        time.sleep(chance.uniform(0, took))
        os.kill(child, chance.choice(SIGNALS))
    code = ended(child)
    killed += code == -signal.SIGKILL
    if code == 0 and killed >= kills:
        break
print(killed, resumed)
"""

# At events: blocks that are added, and steps of writing a file. A first child does what the next will do, with a copy of the
# file, and counts them: all, and those to the end of the first file.
EVENTS = """
def counting(event):
    def before(owner, name, after=False):
        call = getattr(owner, name)
        def counted(*args, **how):
            event(name)
            found = call(*args, **how)
            if after:
                event("after " + name)
            return found
        setattr(owner, name, counted)
    before(_ridge_fit.RidgeFit, "add")
    before(_checkpoint.CheckpointFile, "write", after=True)
    before(os, "fsync")
    before(Path, "replace")

def count():
    copy = path + ".copy"
    if os.path.exists(path):
        shutil.copy(path, copy)
    read, write = os.pipe()
    def body():
        names = []
        counting(names.append)
        code = resume(700, copy)
        os.write(write, f"{len(names)} {names.index('after write') if 'after write' in names else 0}".encode())
        return code
    child = forked(body)
    os.close(write)
    assert ended(child) == 0
    return map(int, os.read(read, 100).split())

def killed_at(k, number):
    def body():
        left = [k]
        def event(name):
            if left[0] == 0:
                os.kill(os.getpid(), number)
            left[0] -= 1
        counting(event)
        return resume(700)
    return ended(forked(body))

killed = resumed = 0
for i in range(kills):
    events, first = count()
    assert first < events
    # The first are killed early, so that something is left to the others.
    k = chance.randrange(0 if i else first, max((i + 1) * events // kills, first + 1))
    resumed += os.path.exists(path)
    killed += killed_at(k, SIGNALS[-1 - i % 3]) != 0
resumed += os.path.exists(path)
assert ended(forked(lambda: resume(700))) == 0
print(killed, resumed)
"""


def killed_fits(when, path, kills, seed, features="random"):
    """How many fits were killed, and how many began with a file."""
    package = str(Path(fastntk.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLS + when, str(path), str(kills), str(seed), features],
        env={**os.environ, "PYTHONPATH": package},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return tuple(map(int, run.stdout.split()))


def test_a_killed_fit_ends_with_the_same_bits(tmp_path):
    assert killed_fits(EVENTS, tmp_path / "fit", 4, 0) == (4, 4)
    assert os.listdir(tmp_path) == []


@pytest.mark.long
@pytest.mark.parametrize("features", ["random", "nystroem"])
def test_fits_killed_at_fifty_moments_end_with_the_same_bits(features, tmp_path):
    killed, resumed = killed_fits(MOMENTS, tmp_path / "fit", 50, 1, features)
    assert killed == 50
    assert resumed > 10
