"""What a PromQL expression speaks of. promtool parses; this only finds names."""

import re

STRING = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\''
WORDS = set("""by without on ignoring group_left group_right bool and or unless offset inf nan
sum min max avg count count_values topk bottomk quantile stddev stdvar group
rate increase delta deriv irate changes absent absent_over_time time vector scalar histogram_quantile clamp_min clamp_max ceil
max_over_time min_over_time avg_over_time sum_over_time last_over_time label_replace abs round""".split())


def selectors(expression):
    """Each metric with its matchers: (name, [(label, operator, value)])."""
    # Lists of labels, ranges and numbers hold no metric.
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", expression)
    text = re.sub(r"\[[^\]]*\]", " ", text)
    found = []
    for match in re.finditer(rf"(?<![\w:$\"])([a-zA-Z_:][\w:]*)\s*(\{{(?:{STRING}|[^}}\"'])*\}})?|{STRING}", text):
        name, matchers = match[1], match[2]
        if name and name not in WORDS:
            labels = re.findall(rf"(\w+)\s*(=~|!~|!=|=)\s*({STRING})", matchers or "")
            found.append((name, [(label, operator, value[1:-1]) for label, operator, value in labels]))
    return found


def concrete(expression):
    """With a value for each of Grafana's variables, as promtool wants it."""
    return re.sub(r"\$(__)?\w+", lambda match: "5m" if match[1] else "x", expression)
