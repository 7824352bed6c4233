"""Figures as people read them, in Grafana's units."""

import math

# What an axis counts, where its figures do not say so themselves.
AXES = {"mps": "messages/s", "eps": "URLs/s", "ops": "operations/s", "reqps": "requests/s", "short": "count"}
PREFIXES = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")]
BINARY = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")]
TIMES = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")]
STEPS = (1, 2, 2.5, 5, 10)


def humanised(value, unit, digits=3):
    """A figure with its unit, as `1.5 MiB`; rates without theirs, which the axis names."""
    if unit == "percentunit":
        return f"{value * 100:.{digits}g} %"
    if unit == "s" and value == 0:
        return "0 s"
    size, name = scale(abs(value), unit)
    text = f"{value / size:.{digits}g}"
    return text + (f" {name}" if unit in ("s", "bytes", "Bps") else name)


def scale(value, unit):
    """The largest scale of a unit that a value reaches, or the smallest, and its name."""
    suffix = "/s" if unit == "Bps" else ""
    scales = {"bytes": BINARY, "Bps": BINARY, "s": TIMES}.get(unit, PREFIXES)
    size, name = next((each for each in scales if value >= each[0]), scales[-1])
    return size, name + suffix


def ticks(low, high, unit):
    """About four round figures between the two."""
    size = 0.01 if unit == "percentunit" else scale(max(abs(low), abs(high)), unit)[0]
    rough = (high - low) / size / 4
    power = 10 ** math.floor(math.log10(rough))
    step = size * power * next(step for step in STEPS if step * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]
