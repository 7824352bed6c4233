"""A dashboard as one picture: rows and panels where Grafana puts them, each with what it is about."""

import io
import textwrap

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot, ticker  # noqa: E402 the backend is chosen before
from matplotlib.patches import FancyBboxPatch  # noqa: E402

from .prometheus import SCRAPE_EVERY  # noqa: E402
from .units import AXES, humanised, ticks  # noqa: E402

# Pixels; a panel is WIDE × HIGH for each cell of Grafana's grid.
DPI = 100
WIDE, HIGH, GRID = 74, 44, 24
EDGE, GAP = 20, 5
HEADER, ROW = 64, 40
CHARACTER = 5.8
LEGEND_LINE, LEGEND_LINES = 15, 3
INK, FAINT, PAPER, LINES = "#1f2430", "#6b7280", "#f3f4f6", "#dfe2e7"
COLORS = {"green": "#2f8f3a", "orange": "#d97706", "red": "#c81e2c"}
SERIES = [*matplotlib.colormaps["tab10"].colors, *matplotlib.colormaps["Dark2"].colors]

pyplot.rcParams.update({
    "font.size": 8, "svg.fonttype": "none", "font.family": ["DejaVu Sans"], "text.color": INK, "axes.edgecolor": LINES,
    "axes.labelcolor": FAINT, "xtick.color": FAINT, "ytick.color": FAINT, "axes.spines.top": False, "axes.spines.right": False,
    # A `$` is one.
    "text.parse_math": False,
})


class Picture:
    """The figure that a dashboard is drawn on, measured in pixels from its upper left corner."""

    def __init__(self, board, start, end, reason_of):
        self.start, self.end, self.reason_of = start, end, reason_of
        self.width = GRID * WIDE + 2 * EDGE
        self.height = HEADER + EDGE + sum(ROW + rows_high(row) * HIGH for row in board.rows)
        self.figure = pyplot.figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI, facecolor=PAPER)
        self.text(EDGE + GAP, 18, board.spec["title"], size=16, weight="bold")
        self.text(self.width - EDGE - GAP, 24, "fed by the demo; time in minutes and seconds", color=FAINT, ha="right")
        top = HEADER
        for row in board.rows:
            self.text(EDGE + GAP, top + 10, row.title, size=11, weight="bold")
            top += ROW
            upper = min(panel.spec["gridPos"]["y"] for panel in row.panels)
            for panel in row.panels:
                place = panel.spec["gridPos"]
                self.panel(panel, EDGE + place["x"] * WIDE + GAP, top + (place["y"] - upper) * HIGH + GAP,
                           place["w"] * WIDE - 2 * GAP, place["h"] * HIGH - 2 * GAP)
            top += rows_high(row) * HIGH

    def save(self, png):
        """Writes it as PNG; returns it as SVG."""
        svg = io.StringIO()
        self.figure.savefig(png, facecolor=PAPER)
        self.figure.savefig(svg, format="svg", facecolor=PAPER)
        pyplot.close(self.figure)
        return svg.getvalue()

    def text(self, x, y, text, **how):
        """Text below a point."""
        return self.figure.text(x / self.width, 1 - y / self.height, text, va="top", **how)

    def axes(self, left, top, width, height):
        """A coordinate system."""
        return self.figure.add_axes(
            (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height))

    def panel(self, panel, left, top, width, height):
        """A frame with a title, what the panel is about, and what it shows."""
        self.figure.add_artist(FancyBboxPatch(
            (left / self.width, 1 - (top + height) / self.height), width / self.width, height / self.height,
            boxstyle="square,pad=0", facecolor="white", edgecolor=LINES, linewidth=0.8, zorder=-1))
        self.text(left + 10, top + 8, panel.title, size=9, weight="bold")
        about = textwrap.wrap(panel.spec["description"], int((width - 20) / CHARACTER), break_on_hyphens=False)
        self.text(left + 10, top + 25, "\n".join(about), size=7.5, color=FAINT, linespacing=1.25)
        used = 30 + 13 * len(about)
        inside = (left, top + used, width, height - used)
        if not any(panel.answers):
            self.nothing(panel, *inside)
        else:
            {"stat": self.stat, "timeseries": self.timeseries, "heatmap": self.heatmap,
             "state-timeline": self.states}[panel.spec["type"]](panel, *inside)

    def nothing(self, panel, left, top, width, height):
        """Why a panel is empty."""
        why = textwrap.fill(f"nothing here: {self.reason_of(panel)}", min(60, int((width - 20) / CHARACTER)))
        self.text(left + width / 2, top + height / 2 - 14, why, color=FAINT, style="italic", ha="center")

    def stat(self, panel, left, top, width, height):
        """One figure, in the color of the threshold that it has passed."""
        value = panel.answers[0][0][1][-1][1]
        color = next(color for limit, color in reversed(limits(panel)) if limit is None or value >= limit)
        unit = panel.spec["fieldConfig"]["defaults"]["unit"]
        what = f" {AXES[unit]}" if unit in AXES and unit != "short" else ""
        self.text(left + width / 2, top + height - 76, humanised(value, unit) + what, size=22, weight="bold",
                  color=COLORS[color], ha="center")

    def plot(self, left, top, width, height, below=0):
        """Axes over the time range, with room for their labels and for a legend."""
        axes = self.axes(left + 68, top + 14, width - 86, height - 44 - below)
        axes.set_xlim(0, self.end - self.start)
        axes.xaxis.set_major_locator(ticker.FixedLocator(range(0, int(self.end - self.start) + 1, 10)))
        axes.xaxis.set_major_formatter(lambda seconds, _: f"{int(seconds) // 60}:{int(seconds) % 60:02}")
        axes.tick_params(length=0, labelsize=7.5)
        return axes

    def timeseries(self, panel, left, top, width, height):
        """Lines, those that reach highest named first, and thresholds where they are near."""
        unit = panel.spec["fieldConfig"]["defaults"]["unit"]
        series = sorted((each for answer in panel.answers for each in answer),
                        key=lambda each: -max(value for _, value in each[1]))
        names, more = self.named(series, width)
        axes = self.plot(left, top, width, height, below=10 + LEGEND_LINE * len(names))
        for number, (_, points) in enumerate(series):
            self.line(axes, points, SERIES[number % len(SERIES)])
        self.vertical(axes, unit, [value for _, points in series for _, value in points], lines(panel))
        self.legend(names, more, left + 14, top + height - 6 - LEGEND_LINE * len(names), width - 28)

    def line(self, axes, points, color):
        """A series; it has a gap where it was not there."""
        times, values, last = [], [], None
        for at, value in points:
            if last is not None and at - last > 1.5 * SCRAPE_EVERY:
                times.append(at - self.start)
                values.append(float("nan"))
            times.append(at - self.start)
            values.append(value)
            last = at
        axes.plot(times, values, color=color, linewidth=1.3, marker="o" if len(points) == 1 else None, markersize=3,
                  clip_on=False, solid_joinstyle="round")

    def vertical(self, axes, unit, values, thresholds):
        """An axis that shows all values, from 0 where none is less; thresholds out of sight are named at its edge."""
        low, high = min(0, *values), max(0, *values)
        flat = low == high
        high = 1 if flat else high * 1.04
        near = [limit for limit, _ in thresholds if limit <= 1.6 * high]
        high = max([high, *(1.04 * limit for limit in near)])
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(ticker.FixedLocator([0, 1] if flat else ticks(low, high, unit)))
        axes.yaxis.set_major_formatter(lambda value, _: humanised(value, unit))
        axes.grid(axis="y", color=LINES, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_ylabel(AXES.get(unit, ""), fontsize=7.5, labelpad=4)
        for limit, color in thresholds:
            if limit in near:
                axes.axhline(limit, color=COLORS[color], linewidth=1, linestyle=(0, (5, 3)))
        beyond = [humanised(limit, unit) for limit, _ in thresholds if limit not in near]
        if beyond:
            self.note(axes, f"limits above: {', '.join(beyond)}", COLORS["red"])

    def note(self, axes, text, color):
        """A few words above the axes."""
        axes.text(1, 1.01, text, transform=axes.transAxes, ha="right", va="bottom", size=7, color=color)

    def named(self, series, width):
        """Lines of a legend: [(color, name)] each, all columns as wide as the longest name; and how many have no room."""
        longest = int((width - 28) / CHARACTER) - 6
        names = [(SERIES[number % len(SERIES)], shortened(name, longest)) for number, (name, _) in enumerate(series)]
        columns = max(1, int((width - 28) / (max(len(name) for _, name in names) * CHARACTER + 26)))
        room = columns * LEGEND_LINES
        more = max(0, len(names) - room)
        shown = names[:room - 1] if more else names
        found = [shown[at:at + columns] for at in range(0, len(shown), columns)]
        return found, len(names) - len(shown)

    def legend(self, found, more, left, top, width):
        """Names below the axes."""
        if not found:
            return
        columns = max(len(line) for line in found)
        for down, line in enumerate(found):
            entries = [*line, (None, f"and {more} more")] if more and down == len(found) - 1 else line
            for across, (color, name) in enumerate(entries):
                x, y = left + across * width / columns, top + down * LEGEND_LINE
                if color:
                    self.figure.add_artist(pyplot.Line2D(
                        [x / self.width, (x + 12) / self.width], [1 - (y + 6) / self.height] * 2, color=color, linewidth=2))
                self.text(x + 17, y, name, size=7.5, color=INK if color else FAINT)

    def heatmap(self, panel, left, top, width, height):
        """How many fell into each bucket, from counts of those up to each bound."""
        unit = panel.spec["fieldConfig"]["defaults"]["unit"]
        buckets = sorted((float(name), dict(points)) for name, points in panel.answers[0])
        cells, below = [], {}
        for bound, points in buckets:
            cells.append((bound, {at: max(0, value - below.get(at, 0)) for at, value in points.items()}))
            below = points
        filled = [number for number, (_, points) in enumerate(cells) if max(points.values(), default=0) > 0] or [0]
        shown = cells[max(0, filled[0] - 1):filled[-1] + 2]
        most = max([1e-9, *(value for _, points in shown for value in points.values())])
        axes = self.plot(left, top, width, height)
        for number, (_, points) in enumerate(shown):
            spans = [(at - self.start - SCRAPE_EVERY, SCRAPE_EVERY) for at, value in points.items() if value > 0]
            colors = [matplotlib.colormaps["Blues"](0.15 + 0.85 * value / most) for value in points.values() if value > 0]
            axes.broken_barh(spans, (number, 1), facecolors=colors)
        axes.set_ylim(0, len(shown))
        every = -(-len(shown) // 8)
        axes.set_yticks(range(1, len(shown) + 1, every))
        axes.set_yticklabels([f"≤ {humanised(bound, unit, digits=4)}" if bound < float("inf") else "more" for bound, _ in shown[::every]])
        axes.grid(axis="y", color=LINES, linewidth=0.6)
        axes.set_axisbelow(True)
        self.note(axes, f"darkest: {humanised(most, 'short')}", FAINT)

    def states(self, panel, left, top, width, height):
        """A band for each series, filled while it is 1."""
        series = sorted((each for answer in panel.answers for each in answer), reverse=True)
        axes = self.plot(left, top, width, height)
        for number, (_, points) in enumerate(series):
            spans = [(at - self.start, SCRAPE_EVERY) for at, value in points if value > 0]
            axes.broken_barh([(0, self.end - self.start)], (number + 0.15, 0.7), facecolors=PAPER)
            axes.broken_barh(spans, (number + 0.15, 0.7), facecolors=SERIES[number], edgecolor=SERIES[number], linewidth=0.4)
        axes.set_ylim(0, len(series))
        axes.set_yticks([number + 0.5 for number in range(len(series))])
        axes.set_yticklabels([name for name, _ in series])


def rows_high(row):
    """Cells from a row's top to its bottom."""
    places = [panel.spec["gridPos"] for panel in row.panels]
    return max(place["y"] + place["h"] for place in places) - min(place["y"] for place in places)


def limits(panel):
    """Thresholds and their colors; the first, without a value, is the base."""
    return [(step["value"], step["color"]) for step in panel.spec["fieldConfig"]["defaults"]["thresholds"]["steps"]]


def lines(panel):
    """Thresholds that are drawn as lines."""
    style = panel.spec["fieldConfig"]["defaults"]["custom"].get("thresholdsStyle", {})
    return [(limit, color) for limit, color in limits(panel) if limit is not None and style.get("mode") == "line"]


def shortened(name, longest):
    """A name without its middle where it is too long."""
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
