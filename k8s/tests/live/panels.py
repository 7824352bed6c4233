"""Every query of every dashboard, with a value for each of Grafana's variables, and what Prometheus answers."""

import dataclasses
import re

from checks.promql import selectors

from .prometheus import SCRAPE_EVERY

# As Grafana works it out for a step of one scrape.
RATE_INTERVAL = f"{4 * SCRAPE_EVERY}s"


@dataclasses.dataclass
class Panel:
    """A panel as Grafana's JSON has it, and the answers to its queries: [(name, [(time, value)])] each."""

    spec: dict
    title: str
    answers: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Row:
    """Panels under a heading."""

    spec: dict
    title: str
    panels: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Board:
    """A dashboard."""

    spec: dict
    rows: list = dataclasses.field(default_factory=list)


class Asking:
    """Asks for all of a dashboard over a time range, and collects what came back empty: (where, query)."""

    def __init__(self, prometheus, start, end):
        self.prometheus, self.start, self.end = prometheus, start, end
        self.empty = []
        self.asked = 0

    def board(self, spec):
        """A dashboard with its answers."""
        values = self.variables(spec)
        board = Board(spec)
        for row, panels in rows(spec):
            # A row that repeats stands once for each value of its variable.
            variable = row.get("repeat")
            for own in [{**values, variable: value} for value in self.choices[variable]] if variable else [values]:
                asked = [self.panel(spec["title"], panel, own) for panel in panels]
                board.rows.append(Row(row, substituted(row["title"], own), asked))
        for annotation in spec["annotations"]["list"]:
            query = substituted(annotation["expr"], values)
            self.note(f"{spec['title']}, annotation {annotation['name']}", query, self.series(query, False))
        return board

    def variables(self, spec):
        """What each variable stands for where nobody chose: all, or the first of its values, which `choices` keeps."""
        length = int(self.end - self.start)
        values = {"__rate_interval": RATE_INTERVAL, "__range": f"{length}s", "__interval": f"{SCRAPE_EVERY}s"}
        self.choices = {}
        for variable in spec["templating"]["list"]:
            if variable["type"] != "query":
                continue
            name, query = variable["name"], substituted(variable["query"]["query"], values)
            selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
            found = self.prometheus.label_values(label, selector, self.start, self.end)
            self.choices[name] = found
            self.note(f"{spec['title']}, variable {name}", selector, found)
            everything = variable["allValue"] or "|".join(found)
            values[name] = everything if variable["includeAll"] else next(iter(found), "")
        return values

    def panel(self, board, spec, values):
        """A panel with the answers to its queries."""
        panel = Panel(spec, substituted(spec["title"], values))
        for target in spec["targets"]:
            query = substituted(target["expr"], values)
            series = self.series(query, target["instant"])
            where = f"{board}, {panel.title}" + (f" ({values['partner']})" if "$partner" in target["expr"] else "")
            self.note(where, query, series)
            panel.answers.append([(legend(target["legendFormat"], labels), points) for labels, points in series])
        return panel

    def series(self, query, instant):
        """What Prometheus says, at the end or over all of the time."""
        if instant:
            return self.prometheus.instant(query, self.end)
        return self.prometheus.range(query, self.start, self.end, SCRAPE_EVERY)

    def note(self, where, query, found):
        """Counts a query, and keeps an empty one."""
        self.asked += 1
        if not found:
            self.empty.append((where, query))


def rows(spec):
    """Rows with the panels under them."""
    found = []
    for panel in spec["panels"]:
        if panel["type"] == "row":
            found.append((panel, []))
        else:
            found[-1][1].append(panel)
    return found


def substituted(text, values):
    """The text with the variables' values; one that nobody knows is an error."""
    return re.sub(r"\$(\w+)", lambda match: values[match[1]], text)


def legend(form, labels):
    """A series' name, from Grafana's `{{label}}`."""
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), form)


def excuses_of(query, excuses):
    """The excuses that cover a query."""
    return {start for start in excuses for name, _ in selectors(query) if name.startswith(start)}


def reason(panel, excuses):
    """Why a panel is empty."""
    covering = [start for target in panel.spec["targets"] for start in excuses_of(target["expr"], excuses)]
    return f"{covering[0]}… {excuses[covering[0]]}" if covering else "no query has an answer"


def unexcused(empty, exported, excuses):
    """A sentence for each empty query whose metrics that nothing exports are not all excused, and for each excuse of none.

    Where all of them are exported it takes an excuse all the same.
    """
    used = set()
    for where, query in empty:
        covering = excuses_of(query, excuses)
        used |= covering
        absent = {name for name, _ in selectors(query)} - exported
        if not covering or any(not name.startswith(tuple(covering)) for name in absent):
            said = f" (nothing exports {', '.join(sorted(absent))})" if absent else ""
            yield f"{where}: nothing comes of {query}{said}; mend it, or say in k8s/tests/live/unfed.yaml why"
    for start in sorted(excuses.keys() - used):
        yield f"k8s/tests/live/unfed.yaml excuses {start}, of which no query is empty: take the line out"
