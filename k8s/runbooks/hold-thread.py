#!/usr/bin/python3
"""Holds one thread of a process for a while: `hold-thread.py PID NAME SECONDS`, as root. Its other threads go on."""

import ctypes
import pathlib
import sys
import time

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # of <sys/ptrace.h>


def ptrace(request, thread):
    """Asks the kernel; ends with its words when it refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(thread), None, None) < 0:
        sys.exit(f"ptrace {request:#x} of thread {thread}: errno {ctypes.get_errno()}")


def main(process, name, seconds):
    """Stops the thread, waits, and lets it go on."""
    tasks = pathlib.Path(f"/proc/{process}/task").iterdir()
    threads = [int(task.name) for task in tasks if (task / "comm").read_text().strip() == name]
    if not threads:
        sys.exit(f"process {process} has no thread {name}")
    ptrace(SEIZE, threads[0])
    ptrace(INTERRUPT, threads[0])
    print(f"thread {threads[0]} ({name}) is held for {seconds} s", flush=True)
    time.sleep(float(seconds))
    ptrace(DETACH, threads[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
