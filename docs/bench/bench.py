#!/usr/bin/env python3
"""Times `assay check` beside other engines on the yardstick data, and compares what they found.

Besides the yardstick's own tasks: `--many N` checks a dataset of N small partitions with the store
on disk, beside one query of DuckDB over the same files, and checks it again unchanged.

Whole processes, in turn (A B C A B C ...), warm page cache: wall time, CPU time and peak memory of
each process as the kernel counts them (wait4). One thread means one slot on one core (taskset), for
every engine alike. Prints Markdown. Exit code 1 when a value differs from DuckDB's.
"""
import argparse, datetime, json, os, pathlib, statistics, subprocess, sys, tempfile, time
from decimal import Decimal

COLUMNS = {"id": "integer", "customer_id": "integer", "amount": "number", "price": "number",
           "country": "string", "status": "string", "email": "string", "flag": "boolean",
           "ts": "timestamp", "event_date": "date", "qty": "integer", "score": "integer"}
NUMBERS = ["id", "customer_id", "amount", "price", "qty", "score"]
METRICS = {"basic": ["nullCount", "sum"],
           "full": ["nullCount", "sum", "min", "max", "mean", "stddev", "distinctCount", "quantile"]}
DOUBLES = {"amount"}  # summed by DuckDB with rounding; every other sum is exact on both sides
DAYS = {"csv": ["--days", "3"], "ndjson": ["--days", "1"]}  # as many as the generator writes
# Metric of ours, DuckDB's name, columns compared, and the relative difference allowed (None: none).
COMPARED = [("nullCount", "nulls", set(COLUMNS), None), ("sum", "sum", set(NUMBERS) - DOUBLES, None),
            ("sum", "sum", DOUBLES, 1e-9), ("min", "min", set(NUMBERS), None), ("max", "max", set(NUMBERS), None),
            ("mean", "mean", set(NUMBERS), 1e-9), ("stddev", "std", set(NUMBERS), 1e-9)]


def definition(task, fmt, data):
    """A dataset file that asks for what the task asks for. Limits stay on, as they are by default."""
    written = fmt if fmt in DAYS else "parquet"
    lines = ["apiVersion: v3.1.0", "kind: DataContract", "id: bench", "version: 1.0.0", "status: active",
             "servers:", "  - server: files", "    type: local", f"    path: {json.dumps(str(data / fmt))}",
             f"    format: {written}", "schema:", "  - name: bench", "    properties:"]
    lines += [f"      - {{ name: {c}, logicalType: {t} }}" for c, t in COLUMNS.items()]
    lines += ["    quality:", "      - { id: rows, metric: rowCount, mustBeGreaterThan: 0 }",
              "customProperties:", "  - property: assayPartitions",
              "    value: { layout: hive, sealing: immediately }", "  - property: assayProfile",
              f"    value: {{ columns: all, metrics: [{', '.join(METRICS[task])}]"
              + (", quantiles: [0.25, 0.5, 0.75]" if task == "full" else "") + " }"]
    return "\n".join(lines) + "\n"


def run(command, stdout):
    """Runs a process to its end: (wall s, CPU s, peak MiB)."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {process.returncode}: {error.decode()}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def pinned(threads, command):
    return ["taskset", "-c", "0", *command] if threads == 1 else command


def values_of(items):
    """{(partition, metric, column): value} among check results."""
    return {(i["partition"], i["metric"], i["column"]): (i.get("actual") or {}).get("value") for i in items}


def compare(mine, theirs, task):
    """Lines about every value that is not the same; and how many were compared."""
    bad, compared = [], 0
    wanted = [("rowCount", "", "rows", None)]
    for metric, name, columns, allowed in COMPARED:
        if metric in METRICS[task]:
            wanted += [(metric, column, f"{name}_{column}", allowed) for column in sorted(columns)]
    for partition, row in theirs.items():
        for metric, column, key, allowed in wanted:
            compared += 1
            own, other = mine.get((partition, metric, column)), row[key]
            if own is None:
                bad.append(f"{partition} {key}: {other} there, nothing here")
                continue
            difference = abs(Decimal(str(own)) - Decimal(str(other)))
            if difference > abs(Decimal(str(other))) * Decimal(allowed or 0):
                bad.append(f"{partition} {key}: {other} there, {own} here")
    return bad, compared


def case(options, folder, task, fmt, threads):
    """Times one case; the line of its table."""
    definition_file = folder / f"{task}_{fmt}.odcs.yaml"
    definition_file.write_text(definition(task, fmt, options.data))
    days = DAYS.get(fmt, [])
    commands = {"assay": [options.assay, "check", "--ephemeral", "-q", "-o", "none",
                          str(definition_file)]}
    for engine in options.engines:
        commands[engine] = [sys.executable, options.scan, engine, task, fmt, str(threads), *days,
                            "--root", str(options.data)]
    times = {name: [] for name in commands}
    for turn in range(options.pairs + 1):
        for name, command in commands.items():
            measured = run(pinned(threads, command), subprocess.DEVNULL)
            if turn > 0:  # the first turn warms the page cache
                times[name].append(measured)
    medians = {name: [statistics.median(x) for x in zip(*t)] for name, t in times.items()}
    own = medians["assay"]
    cells = [fmt, task, str(threads), f"{own[0]:.2f} s", f"{own[1]:.2f} s", f"{own[2]:.0f} MiB"]
    for engine in options.engines:
        other = medians[engine]
        cells += [f"{other[0]:.2f} s"] + [f"**{own[0] / other[0]:.2f}**"] + [f"{a / b:.2f}" for a, b in zip(own[1:], other[1:])]
    print("| " + " | ".join(cells) + " |", flush=True)


def agreement(options, folder, task, fmt):
    """Compares values with DuckDB's; whether they agree."""
    definition_file = folder / f"{task}_{fmt}.odcs.yaml"
    definition_file.write_text(definition(task, fmt, options.data))
    out, theirs = folder / "mine.json", folder / "theirs.json"
    with open(out, "wb") as file:
        run([options.assay, "check", "--ephemeral", "-q", "--all", "-o", "json", str(definition_file)], file)
    days = DAYS.get(fmt, [])
    run([sys.executable, options.scan, "duckdb_part", task, fmt, "2", *days, "--root", str(options.data),
         "--out", str(theirs)], subprocess.DEVNULL)
    bad, compared = compare(values_of(json.loads(out.read_text())["items"]), json.loads(theirs.read_text()), task)
    print(f"- {fmt}, {task}: {compared} values compared with DuckDB, {len(bad)} differ")
    for line in bad[:5]:
        print(f"  - {line}")
    return not bad


def small_files(options, root):
    """`options.many` partitions of about 1 MB: names of a few distinct files, as hard links."""
    import pyarrow.parquet as pq
    source = sorted((options.data / "pq_snappy").glob("dt=*/part-0.parquet"))[0]
    table, rows, distinct = pq.ParquetFile(source).read(), 20_000, 20
    (root / "seeds").mkdir()
    for seed in range(distinct):
        pq.write_table(table.slice(seed * rows, rows), root / "seeds" / f"{seed}.parquet", compression="snappy")
    for day in range(options.many):
        folder = root / "pq_snappy" / f"dt={datetime.date(1998, 1, 1) + datetime.timedelta(days=day)}"
        folder.mkdir(parents=True)
        os.link(root / "seeds" / f"{day % distinct}.parquet", folder / "part-0.parquet")


def many(options, folder):
    """Times a first check of many small partitions and one of the unchanged dataset."""
    # Beside the data, so that the links are on one file system with enough room.
    with tempfile.TemporaryDirectory(dir=options.data.parent) as name:
        root = pathlib.Path(name)
        small_files(options, root)
        definition_file = folder / "many.odcs.yaml"
        definition_file.write_text(definition("basic", "pq_snappy", root))
        threads = os.cpu_count()
        check = [options.assay, "check", "--data-dir", str(root / "store"), "-q",
                 "-o", "none", str(definition_file)]
        query = [sys.executable, options.scan, "duckdb", "basic", "pq_snappy", str(threads), "--root", str(root)]
        run(query, subprocess.DEVNULL)  # warms the page cache
        theirs = run(query, subprocess.DEVNULL)
        print(f"| {options.many} partitions | wall | CPU | peak | wall ratio | CPU ratio |\n|" + "---|" * 6)
        for what in ["first check", "unchanged"]:
            own = run(check, subprocess.DEVNULL)
            ratios = [f"**{own[0] / theirs[0]:.2f}**", f"{own[1] / theirs[1]:.2f}"]
            figures = [what, f"{own[0]:.2f} s", f"{own[1]:.2f} s", f"{own[2]:.0f} MiB"]
            print("| " + " | ".join(figures + ratios) + " |", flush=True)
        print(f"| one query of DuckDB | {theirs[0]:.2f} s | {theirs[1]:.2f} s | {theirs[2]:.0f} MiB | | |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assay", required=True)
    parser.add_argument("--scan", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--engines", type=lambda t: t.split(","), default=["duckdb_part", "polars_part"])
    parser.add_argument("--tasks", type=lambda t: t.split(","), default=["basic", "full"])
    parser.add_argument("--formats", type=lambda t: t.split(","), default=["pq_zstd", "pq_snappy", "csv", "ndjson"])
    parser.add_argument("--threads", type=lambda t: [int(n) for n in t.split(",")], default=[2, 1])
    parser.add_argument("--many", type=int, default=1000, help="small partitions; 0: leave that case out")
    options = parser.parse_args()
    options.data = options.data.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cases = [(t, f) for t in options.tasks for f in options.formats]
        agree = [agreement(options, folder, t, f) for t, f in cases]
        print(f"- {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the timing, {options.pairs} turns")
        print()
        head = ["data", "task", "threads", "assay", "CPU", "peak"]
        for engine in options.engines:
            head += [engine, "wall ratio", "CPU ratio", "peak ratio"]
        print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for task, fmt in cases:
            for threads in options.threads:
                case(options, folder, task, fmt, threads)
        if options.many:
            print()
            many(options, folder)
    sys.exit(0 if all(agree) else 1)


if __name__ == "__main__":
    main()
