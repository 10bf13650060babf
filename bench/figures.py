"""figures.py: what a run found, as a table, as JSON and as a plot, from its lines of JSON.

    bench/figures.py RESULTS.jsonl... --json FILE --svg FILE
"""
import argparse
import json
import statistics
from xml.sax.saxutils import escape

ROWS = (
    ("wall_seconds", "wall, s", 1, 2),
    ("client_cpu_seconds", "client CPU, s", 1, 2),
    ("server_cpu_seconds", "server CPU, s", 1, 2),
    ("loopback_bytes", "wire, MB", 1e6, 0),
    ("client_peak_rss_bytes", "client memory, MB", 1e6, 1),
    ("backend_private_dirty_bytes", "largest backend, MB", 1e6, 1),
    ("latency_p99_ms", "p99 of transactions, ms", 1, 1),
    ("transactions_per_second", "transactions a second", 1, 1),
)
OURS = "pg_standby_clone"


def read(paths):
    """Machine facts, and the runs of each scenario by tool, in order."""
    machine, scenarios = {}, {}
    for path in paths:
        for line in open(path):
            record = json.loads(line)
            if record["type"] == "machine":
                machine = machine or record
            elif record["type"] == "scenario":
                scenarios.setdefault(record["scenario"], {"title": record["title"], "bytes": record["bytes"],
                                                          "files": record["files"], "tools": {}})
            elif record["type"] == "run":
                scenarios[record["scenario"]]["tools"].setdefault(record["tool"], []).append(record)
    return machine, scenarios


def median(runs, field):
    values = [run[field] for run in runs if run.get(field) is not None]
    return statistics.median(values) if values else None


def table(scenario):
    """One Markdown table: a line a tool, the medians, and the wall times of all rounds."""
    fields = [row for row in ROWS
              if any(run.get(row[0]) is not None for runs in scenario["tools"].values() for run in runs)]
    lines = ["| tool | " + " | ".join(name for _, name, _, _ in fields) + " | all wall times |",
             "|---|" + "---:|" * len(fields) + "---|"]
    for tool, runs in scenario["tools"].items():
        cells = []
        for field, _, unit, digits in fields:
            value = median(runs, field)
            cells.append("" if value is None else f"{value / unit:.{digits}f}")
        rounds = " ".join(f"{run['wall_seconds']:.2f}" for run in runs)
        lines.append(f"| `{tool}` | " + " | ".join(cells) + f" | {rounds} |")
    return "\n".join(lines)


def plot(scenarios):
    """Bars, a group a scenario, in SVG: wall times, or under a load what its users saw."""
    left, width, bar, gap = 270, 400, 16, 34
    y, parts = 40, []
    for scenario in scenarios.values():
        if not scenario["tools"]:
            continue
        runs = scenario["tools"]
        is_load = all("latency_p99_ms" in run for run in next(iter(runs.values())))
        field, unit, what = ("latency_p99_ms", "ms", ": p99 of transactions") if is_load else ("wall_seconds", "s", "")
        medians = {tool: median(rounds, field) for tool, rounds in runs.items()}
        longest = max(medians.values())
        parts.append(f'<text x="10" y="{y}" class="title">{escape(scenario["title"])}, '
                     f'{scenario["bytes"] / 1e9:.2f} GB{what}</text>')
        y += 10
        for tool, value in sorted(medians.items(), key=lambda pair: pair[1]):
            kind = "ours" if tool.startswith(OURS) else "other"
            length = max(1, value / longest * width)
            parts.append(f'<text x="{left - 8}" y="{y + 12}" class="tool">{escape(tool)}</text>'
                         f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 3}" class="{kind}"/>'
                         f'<text x="{left + length + 6:.1f}" y="{y + 11}" class="value">{value:.1f} {unit}</text>')
            y += bar
        y += gap
    style = ("text{font:12px sans-serif;fill:#333}.title{font-weight:bold;font-size:13px}.tool{text-anchor:end}"
             ".value{fill:#555}.ours{fill:#2a7f62}.other{fill:#b0b7bf}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{y}">'
            f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>'
            '<text x="10" y="18">Wall times, medians; shorter is better</text>' + "\n".join(parts) + "</svg>\n")


def main():
    parser = argparse.ArgumentParser(prog="bench/figures.py")
    parser.add_argument("results", nargs="+")
    parser.add_argument("--json", metavar="FILE", help="write machine, medians and all runs there")
    parser.add_argument("--svg", metavar="FILE", help="write the plot there")
    options = parser.parse_args()
    machine, scenarios = read(options.results)
    for scenario in scenarios.values():
        print(f"\n**{scenario['title']}**, {scenario['files']:,} files, {scenario['bytes'] / 1e9:.2f} GB\n")
        print(table(scenario))
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": machine, "scenarios": scenarios}, file, indent=1)
            file.write("\n")
    if options.svg:
        with open(options.svg, "w") as file:
            file.write(plot(scenarios))


if __name__ == "__main__":
    main()
