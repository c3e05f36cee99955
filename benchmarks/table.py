"""The claims of the performance table: each benchmark reports its own, and the table is made from the reports.

    python benchmarks/table.py    # rewrite the table of docs/benchmarks.md

A report is one line on the terminal and one in docs/benchmarks.jsonl, with commit and machine; the newest report of a
claim is the one that counts. So no figure of the table is typed by hand.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "docs" / "benchmarks.jsonl"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- made by benchmarks/table.py -->\n", "<!-- end -->\n"
MEASURED = ("ray_iqa", "actors", "benchmarks", "serve_app.py", "requirements")


def report(claim: str, ratio: float, bar: str, figures: str) -> None:
    """Say and keep what a benchmark found.

    Args:
        claim: what is compared with what, sizes included; the row's name in the table.
        ratio: what the bar limits.
        bar: ">= 4" or "<= 0.25".
        figures: the measurements themselves, with units.
    """
    meets = is_met(ratio, bar)
    print(f"BENCH {claim}: {ratio:.3g}, bar {bar}: {'meets' if meets else 'MISSES'} ({figures})", flush=True)
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    row = {"claim": claim, "ratio": ratio, "bar": bar, "figures": figures, "command": command}
    row |= {"commit": commit(), "machine": machine()}
    with REPORTS.open("a") as stream:
        stream.write(json.dumps(row) + "\n")


def is_met(ratio: float, bar: str) -> bool:
    """Whether ``ratio`` lies on the good side of ``bar``; NaN does not."""
    side, limit = bar.split()
    return {">=": ratio >= float(limit), "<=": ratio <= float(limit)}[side]


def commit() -> str:
    """The checked-out commit, with a + where measured code differs from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    differs = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", *MEASURED], check=False).returncode
    return (head.stdout.strip() or "unknown") + ("+" if differs else "")


def machine() -> str:
    """Cores, processor and how busy the last minute was."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} x {models[0] if models else platform.machine()}, load {os.getloadavg()[0]:.1f}"


def newest_reports(reports: Path = REPORTS) -> list[dict[str, Any]]:
    """One report per claim, in the order in which claims were first made."""
    rows = [json.loads(line) for line in reports.read_text().splitlines()]
    return list({row["claim"]: row for row in rows}.values())


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| what | ratio | wanted | figures | commit | command | machine |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        ratio = f"{row['ratio']:,.3g}" if row["ratio"] < 1000 else f"{row['ratio']:,.0f}"
        ratio = ratio if is_met(row["ratio"], row["bar"]) else f"**{ratio}**"
        cells = [row["claim"], ratio, row["bar"], row["figures"], row["commit"], f"`{row['command']}`", row["machine"]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def with_table(page: str, rows: list[dict[str, Any]]) -> str:
    """``page`` with everything between its two markers replaced by the table."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} must hold the lines {BEGIN.strip()!r} and {END.strip()!r}, in this order")
    return before + BEGIN + table(rows) + END + after


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(), newest_reports()))
