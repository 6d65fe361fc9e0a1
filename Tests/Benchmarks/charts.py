"""Bar and line charts as SVG that follow the reader's light or dark scheme."""

import math
from html import escape

STYLE = """<style>
text{font:13px system-ui,sans-serif;fill:#24292f}.t{font-size:15px;font-weight:600}.n{fill:#57606a}
.g{stroke:#d0d7de;stroke-width:1}.a{fill:#0969da}.b{fill:#afb8c1}.l{stroke:#0969da;stroke-width:2;fill:none}
.m{stroke:#cf222e;stroke-width:1.5;stroke-dasharray:5 4}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#9198a1}.g{stroke:#3d444d}.a{fill:#4493f8}
.b{fill:#656c76}.l{stroke:#4493f8}.m{stroke:#f85149}}
</style>"""


def short(value):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def frame(width, height, title, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" aria-label="{escape(title)}">{STYLE}'
            f'<text class="t" x="16" y="26">{escape(title)}</text>{body}</svg>\n')


def bars(title, unit, rows):
    """rows: (name, value, whether it is ours)."""
    width, left = 760, 330
    largest = max(value for _, value, _ in rows) or 1
    body = []
    for place, (name, value, ours) in enumerate(rows):
        y = 48 + place * 30
        length = max(2, (width - left - 130) * value / largest)
        body.append(
            f'<text x="{left - 10}" y="{y + 15}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{"a" if ours else "b"}" x="{left}" y="{y}" width="{length:.1f}" '
            f'height="20" rx="3"/><text class="n" x="{left + length + 8:.1f}" y="{y + 15}">'
            f'{short(value)} {escape(unit)}</text>')
    return frame(width, 60 + 30 * len(rows), title, "".join(body))


def line(title, x_label, y_label, points, mark=None):
    """points: (x, y); mark: (y, name) of a dashed line. The scale begins at 0."""
    width, height, left, top, right, bottom = 760, 320, 80, 70, 30, 52
    x_max = max(x for x, _ in points) or 1
    y_max = 1.1 * max([y for _, y in points] + ([mark[0]] if mark else [])) or 1

    def at(x, y):
        return (left + (width - left - right) * x / x_max,
                top + (height - top - bottom) * (1 - y / y_max))

    body = [f'<text class="n" x="16" y="50">{escape(y_label)}</text>']
    for step in range(5):
        _, y = at(0, y_max * step / 4)
        x, _ = at(x_max * step / 4, 0)
        body.append(
            f'<line class="g" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="n" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f'{short(y_max * step / 4)}</text>'
            f'<text class="n" x="{x:.1f}" y="{height - bottom + 20}" text-anchor="middle">'
            f'{short(x_max * step / 4)}</text>')
    if mark:
        _, y = at(0, mark[0])
        body.append(f'<line class="m" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                    f'<text class="n" x="{width - right}" y="{y - 6:.1f}" text-anchor="end">'
                    f'{escape(mark[1])}</text>')
    places = [at(x, y) for x, y in points]
    body.append('<polyline class="l" points="%s"/>' % " ".join(
        f"{x:.1f},{y:.1f}" for x, y in places))
    body += [f'<circle class="a" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
    body.append(f'<text class="n" x="{(left + width - right) / 2}" y="{height - 8}" '
                f'text-anchor="middle">{escape(x_label)}</text>')
    return frame(width, height, title, "".join(body))


def dots(title, rows, left=200):
    """rows: (name, values): a dot for each value and a tick at their mean. The scale begins where the least needs it."""
    width, right = 760, 90
    values = [value for _, group in rows for value in group]
    margin = 0.08 * (max(values) - min(values)) or 0.01
    low, high = max(0, min(values) - margin), max(values) + margin
    bottom = 52 + 34 * len(rows)

    def at(value):
        return left + (width - left - right) * (value - low) / (high - low)

    body = []
    for step in range(5):
        value = low + (high - low) * step / 4
        body.append(
            f'<line class="g" x1="{at(value):.1f}" x2="{at(value):.1f}" y1="44" y2="{bottom}"/>'
            f'<text class="n" x="{at(value):.1f}" y="{bottom + 18}" text-anchor="middle">{value:.3f}</text>')
    for place, (name, group) in enumerate(rows):
        y = 64 + 34 * place
        mean = sum(group) / len(group)
        body.append(f'<text x="{left - 12}" y="{y + 5}" text-anchor="end">{escape(name)}</text>'
                    f'<rect class="{"a" if place == 0 else "b"}" x="{at(mean) - 1.5:.1f}" y="{y - 11}" width="3" height="22"/>')
        body += [f'<circle class="{"a" if place == 0 else "b"}" cx="{at(value):.1f}" cy="{y}" r="5"/>' for value in group]
        body.append(f'<text class="n" x="{width - right + 12}" y="{y + 5}">{mean:.4f}</text>')
    return frame(width, bottom + 34, title, "".join(body))


def curves(title, x_label, y_label, series):
    """series: (name, points); both axes are logarithmic, and a name stands at its last point."""
    width, height, left, top, right, bottom = 760, 360, 70, 64, 150, 50
    points = [point for _, group in series for point in group]
    low_x, high_x = (math.log10(edge([x for x, _ in points])) for edge in (min, max))
    low_y, high_y = math.floor(math.log10(min(y for _, y in points))), math.ceil(math.log10(max(y for _, y in points)))

    def at(x, y):
        return (left + (width - left - right) * (math.log10(x) - low_x) / ((high_x - low_x) or 1),
                top + (height - top - bottom) * (1 - (math.log10(y) - low_y) / ((high_y - low_y) or 1)))

    body = [f'<text class="n" x="16" y="48">{escape(y_label)}</text>']
    for power in range(low_y, high_y + 1):
        _, y = at(10**low_x, 10.0**power)
        body.append(f'<line class="g" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                    f'<text class="n" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{short(10.0**power)}</text>')
    for value in sorted({x for x, _ in points}):
        x, _ = at(value, 10.0**low_y)
        body.append(f'<text class="n" x="{x:.1f}" y="{height - bottom + 20}" text-anchor="middle">{short(value)}</text>')
    body.append(f'<text class="n" x="{width - right}" y="{height - 12}" text-anchor="end">{escape(x_label)}</text>')
    names = []
    for name, group in series:
        places = [at(x, y) for x, y in group]
        body.append('<polyline class="l" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in places) + '"/>')
        body += [f'<circle class="a" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
        names.append((places[-1][1], places[-1][0], name))
    last = -1e9
    for y, x, name in sorted(names):
        last = max(y, last + 16)
        body.append(f'<text x="{x + 10:.1f}" y="{last + 4:.1f}">{escape(name)}</text>')
    return frame(width, height, title, "".join(body))


COLOURS = ["#0969da", "#1a7f37", "#bf8700", "#cf222e", "#656c76", "#8250df", "#bf3989"]


def timeline(title, x_label, y_label, series, marks, limit):
    """series: (name, points over time), on a logarithmic scale; marks: (x, name) where something begins; limit: (y, name)."""
    width, height, left, top, right, bottom = 760, 360, 70, 88, 24, 50
    x_max = max(x for _, points in series for x, _ in points) or 1
    values = [y for _, points in series for _, y in points if y > 0] + [limit[0]]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def at(x, y):
        return (left + (width - left - right) * x / x_max,
                top + (height - top - bottom) * (1 - (math.log10(max(y, 10.0**low)) - low) / ((high - low) or 1)))

    body = [f'<text class="n" x="16" y="{top - 22}">{escape(y_label)}</text>']
    for power in range(low, high + 1):
        _, y = at(0, 10.0**power)
        body.append(f'<line class="g" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                    f'<text class="n" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{short(10.0**power)}</text>')
    body += sections(marks, at(0, 10.0**high)[1], height - bottom, lambda x: at(x, 1)[0])
    _, y = at(0, limit[0])
    body.append(f'<line class="m" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="n" x="{left + 6}" y="{y - 6:.1f}">{escape(limit[1])}</text>')
    for place, (name, points) in enumerate(series):
        colour = COLOURS[place % len(COLOURS)]
        body.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="' + " ".join(
            "%.1f,%.1f" % at(x, y) for x, y in points) + '"/>')
    body += legend([name for name, _ in series], left, 50)
    body += seconds_axis(x_max, lambda x: at(x, 1)[0], height - bottom + 20, x_label, width, height)
    return frame(width, height, title, "".join(body))


def shares(title, x_label, series, marks):
    """series: (name, (x, share 0...1)) stacked from below, all over the same x."""
    width, height, left, top, right, bottom = 760, 320, 70, 80, 24, 50
    xs = [x for x, _ in series[0][1]]
    x_max = max(xs) or 1

    def at(x, y):
        return left + (width - left - right) * x / x_max, top + (height - top - bottom) * (1 - y)

    body, base = [], [0.0] * len(xs)
    for place, (name, points) in enumerate(series):
        upper = [low + share for low, (_, share) in zip(base, points)]
        outline = [at(x, y) for x, y in zip(xs, upper)] + [at(x, y) for x, y in reversed(list(zip(xs, base)))]
        body.append(f'<polygon fill="{COLOURS[place % len(COLOURS)]}" fill-opacity="0.75" points="' + " ".join(
            f"{x:.1f},{y:.1f}" for x, y in outline) + '"/>')
        base = upper
    for step in range(5):
        _, y = at(0, step / 4)
        body.append(f'<line class="g" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                    f'<text class="n" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{25 * step} %</text>')
    body += sections(marks, top, height - bottom, lambda x: at(x, 0)[0])
    body += legend([name for name, _ in series], left, 50)
    body += seconds_axis(x_max, lambda x: at(x, 0)[0], height - bottom + 20, x_label, width, height)
    return frame(width, height, title, "".join(body))


def sections(marks, top, bottom, place):
    return [f'<line class="m" x1="{place(x):.1f}" x2="{place(x):.1f}" y1="{top:.1f}" y2="{bottom:.1f}" stroke-dasharray="2 3"/>'
            f'<text class="t" x="{place(x) + 6:.1f}" y="{top - 4:.1f}">{escape(name)}</text>' for x, name in marks]


def legend(names, x, y):
    body = []
    for place, name in enumerate(names):
        body.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" rx="2" fill="{COLOURS[place % len(COLOURS)]}"/>'
                    f'<text class="n" x="{x + 17}" y="{y}">{escape(name)}</text>')
        x += 40 + 7 * len(name)
    return body


def seconds_axis(x_max, place, y, label, width, height):
    return [f'<text class="n" x="{place(x_max * step / 6):.1f}" y="{y}" text-anchor="middle">{x_max * step / 6:.0f}</text>'
            for step in range(7)] + [
        f'<text class="n" x="{width / 2}" y="{height - 8}" text-anchor="middle">{escape(label)}</text>']


def lines(title, x_label, y_label, series, width=760, height=380):
    """series: (name, points of (x, y)): the y scale begins at 0, a name stands at its last point."""
    left, top, right, bottom = 70, 64, 190, 50
    points = [point for _, group in series for point in group]
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    most = max(y for _, y in points) or 1
    power = 10 ** math.floor(math.log10(most))
    tick = next(step * power for step in (0.1, 0.2, 0.25, 0.5, 1, 2) if most <= 5 * step * power)
    ticks = math.ceil(most / tick)
    y_max = tick * ticks

    def at(x, y):
        return (left + (width - left - right) * (x - low) / ((high - low) or 1),
                top + (height - top - bottom) * (1 - y / y_max))

    body = [f'<text class="n" x="16" y="48">{escape(y_label)}</text>']
    for step in range(ticks + 1):
        _, y = at(low, tick * step)
        body.append(f'<line class="g" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                    f'<text class="n" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{short(tick * step)}</text>')
    for value in sorted({x for x, _ in points}):
        body.append(f'<text class="n" x="{at(value, 0)[0]:.1f}" y="{height - bottom + 20}" '
                    f'text-anchor="middle">{short(value)}</text>')
    body.append(f'<text class="n" x="{(left + width - right) / 2}" y="{height - 8}" '
                f'text-anchor="middle">{escape(x_label)}</text>')
    names = []
    for (name, group), colour in zip(series, COLOURS * (1 + len(series) // len(COLOURS))):
        places = [at(x, y) for x, y in group]
        body.append(f'<polyline style="stroke:{colour};stroke-width:2;fill:none" points="'
                    + " ".join(f"{x:.1f},{y:.1f}" for x, y in places) + '"/>')
        body += [f'<circle style="fill:{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
        names.append((places[-1][1], places[-1][0], name, colour))
    last = -1e9
    for y, x, name, colour in sorted(names):
        last = max(y, last + 17)
        body.append(f'<text style="fill:{colour}" x="{x + 10:.1f}" y="{last + 4:.1f}">{escape(name)}</text>')
    return frame(width, height, title, "".join(body))
