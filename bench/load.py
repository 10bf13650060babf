"""load.py: what a copy at a given rate costs those who use the primary meanwhile."""
import glob
import os
import statistics
import subprocess
import tempfile
import time

import peers

RATE_KB = 50 * 1024       # of the copy; both limit what they send
TRANSACTIONS = 400        # a second, from four clients: some third of what two processors can do
SECONDS = 15              # how long a copy takes at that rate, about; the load lasts as long as the copy


def pgbench(primary, seconds, directory):
    return subprocess.Popen(["pgbench", *primary.connection, "-U", "postgres", "-n", "-c", "4", "-j", "2", "-R",
                             str(TRANSACTIONS), "-T", str(seconds), "-l", "--log-prefix=" + directory + "/log", "postgres"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run(tool, primary, target):
    """A load for a fixed time, and the copy from its third second on; latencies while it copied."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as directory:
        load = pgbench(primary, SECONDS + 5, directory)
        time.sleep(2)
        began = time.time()
        if tool.command:
            done = subprocess.run(tool.command(primary, target), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, text=True)
            if done.returncode != 0:
                load.terminate()
                raise SystemExit(f"bench: {tool.name} ended with exit code {done.returncode}:\n{done.stdout[-2000:]}")
        else:
            time.sleep(SECONDS)
        ended = time.time()
        load.wait()
        latencies = []
        for path in glob.glob(directory + "/log*"):
            for line in open(path):
                fields = line.split()
                finished = int(fields[4]) + int(fields[5]) / 1e6
                if began <= finished <= ended:
                    latencies.append(int(fields[2]) / 1000)
    return {"wall_seconds": round(ended - began, 3),
            "transactions_per_second": round(len(latencies) / (min(ended, began + SECONDS + 3) - began), 1),
            "latency_p99_ms": round(statistics.quantiles(latencies, n=100)[98], 2)}


TOOLS = [
    peers.Tool("no copy", needs="pgbench", run=run, makes="nothing"),
    peers.Tool("pg_basebackup --max-rate", peers.basebackup_command(f"--max-rate={RATE_KB}"), run=run),
    peers.Tool("pg_standby_clone --max-rate", peers.clone_command(f"--max-rate={RATE_KB}"), run=run),
    peers.Tool("pg_standby_clone --max-rate --gentle", peers.clone_command(f"--max-rate={RATE_KB}", "--gentle"), run=run),
]
