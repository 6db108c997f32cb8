# keeprolling - the table in docs/benchmarks.md
# SPDX-License-Identifier: LGPL-2.1-or-later

import os
import platform
import re
import subprocess

import measure


def _number(value):
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def _median(costs, value):
    return _number(measure.spread([value(cost) for cost in costs])[0])


def row(name, costs, base, columns):
    """One line: the variant, its ratio to the base with spread, then the columns."""
    if isinstance(costs, str):
        return f"| {name} | not available: {costs} |" + " |" * len(columns)
    if costs is base:
        ratio = "1"
    elif isinstance(base, str) or base is None:
        ratio = "-"
    else:
        middle, low, high = measure.ratios(costs, base, lambda cost: cost.cpu)
        ratio = f"**{middle:.2f}** ({low:.2f} - {high:.2f})"
    return f"| {name} | {ratio} |" + "".join(f" {_median(costs, value)} |"
                                             for _, value in columns)


def table(costs, base, columns):
    """@costs: {variant: [Cost...] or the reason why there are none}; @base: one of the names;
    @columns: [(title, Cost -> number)]."""
    head = f"| | CPU, ratio (spread) |" + "".join(f" {title} |" for title, _ in columns)
    rule = "|---|---|" + "---:|" * len(columns)
    return "\n".join([head, rule] + [row(name, variant, costs.get(base), columns)
                                     for name, variant in costs.items()])


def _first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True,
                              check=False).stdout.splitlines()[0]
    except (OSError, IndexError):
        return f"no {command[0]}"


def machine():
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    ffmpeg = re.match(r"ffmpeg version (\S+)", _first_line(["ffmpeg", "-version"]))
    gstreamer = _first_line(["gst-launch-1.0", "--gst-version"]).replace("Core Library version ", "")
    return (f"{os.cpu_count()} x {model}, Linux {'.'.join(platform.release().split('.')[:2])}, {gstreamer}, "
            f"ffmpeg {ffmpeg.group(1) if ffmpeg else 'none'}")


def replace_block(path, name, text):
    """Puts @text between the marks of @name in the document."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    with open(path, encoding="utf-8") as document:
        content = document.read()
    before, mark, rest = content.partition(begin)
    _, closing, after = rest.partition(end)
    if not mark or not closing:
        raise SystemExit(f"{path}: no marks {begin} ... {end}")
    content = f"{before}{begin}\n{text}\n{end}{after}"
    with open(path + ".new", "w", encoding="utf-8") as document:
        document.write(content)
    os.rename(path + ".new", path)
