"""Processes that end with this one, and waiting for what they do."""

import contextlib
import pathlib
import signal
import socket
import subprocess
import time
import urllib.request

LOOK_EVERY = 0.2
END_WITHIN = 30
# How much of a log a failure shows.
LAST_LINES = 20


class Failure(Exception):
    """Says what was attempted, and with what."""


class Process:
    """A program whose output goes to a log. The kernel kills it when this process dies, however that ends."""

    def __init__(self, log, *command, env=None):
        self.name, self.log = pathlib.Path(command[0]).name, log
        with log.open("w") as output:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env)

    def said(self):
        """Its log."""
        return self.log.read_text(errors="replace")

    def status(self):
        """How it ended; None while it runs."""
        return self.child.poll()

    def check(self, what):
        """It still runs while something is waited for."""
        if self.status() is not None:
            raise Failure(f"{what}: {self.name} ended with {self.status()}; {self.last()}")

    def last(self):
        """How its log ends, and where the rest is."""
        lines = self.said().splitlines()[-LAST_LINES:]
        return "\n".join([f"the end of {self.log}:", *lines])

    def end(self):
        """Asks it to end, and kills it where it does not."""
        self.child.send_signal(signal.SIGINT)
        try:
            self.child.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


@contextlib.contextmanager
def running(*arguments, **keywords):
    """A process for the time of a block."""
    process = Process(*arguments, **keywords)
    try:
        yield process
    finally:
        process.end()


def until(what, within, holds, *processes):
    """Waits until something holds, while these processes run."""
    deadline = time.monotonic() + within
    while not (held := holds()):
        for process in processes:
            process.check(what)
        if time.monotonic() > deadline:
            raise Failure("\n".join([f"{what}: not within {within} s", *(process.last() for process in processes)]))
        time.sleep(LOOK_EVERY)
    return held


def answers(address):
    """Whether somebody serves there."""
    try:
        with urllib.request.urlopen(f"http://{address}", timeout=5):
            return True
    except OSError:
        return False


def free_address():
    """A loopback address whose port was free a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return "{}:{}".format(*taken.getsockname())
