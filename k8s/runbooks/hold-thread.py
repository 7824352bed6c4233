#!/usr/bin/python3
"""Holds one thread of a process for a while: `hold-thread.py PID NAME SECONDS`, as root. Its other threads go on."""

import ctypes
import os
import pathlib
import sys
import time

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # of <sys/ptrace.h>
ALL = 0x40000000  # __WALL: threads, too, are waited for
LOOK_EVERY = 0.2


def ptrace(request, thread):
    """Asks the kernel; ends with its words when it refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(thread), None, None) < 0:
        sys.exit(f"ptrace {request:#x} of thread {thread}: errno {ctypes.get_errno()}")


def has_ended(thread):
    """Takes what is to be heard of the thread: until its end is taken, a process that was killed is not gone."""
    found, status = os.waitpid(thread, os.WNOHANG | ALL)
    return found == thread and not os.WIFSTOPPED(status)


def main(process, name, seconds):
    """Stops the thread, waits, and lets it go on; ends with it when it is killed."""
    tasks = pathlib.Path(f"/proc/{process}/task").iterdir()
    threads = [int(task.name) for task in tasks if (task / "comm").read_text().strip() == name]
    if not threads:
        sys.exit(f"process {process} has no thread {name}")
    ptrace(SEIZE, threads[0])
    ptrace(INTERRUPT, threads[0])
    print(f"thread {threads[0]} ({name}) is held for {seconds} s", flush=True)
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        if has_ended(threads[0]):
            print(f"thread {threads[0]} ({name}) was killed", flush=True)
            return
        time.sleep(LOOK_EVERY)
    ptrace(DETACH, threads[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
