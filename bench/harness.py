"""harness.py: how a benchmark becomes the test user, what it writes down, and how it ends.

A benchmark is started twice: by the caller, who opens the file of results and may make directories and networks, and
by itself through ci/as-test-user, where WORK is an empty directory; there it measures.
"""
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time

from measure import kib_of, read_text

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def say(text):
    print(text, flush=True)


def output_of(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout.strip()


# --- as whoever called ------------------------------------------------------------------

def is_caller():
    return "WORK" not in os.environ


def make_directory_to_keep(path):
    if not path or os.path.exists(path):
        return
    os.makedirs(path)
    if os.geteuid() == 0:
        shutil.chown(path, output_of(TOP + "/ci/test-user"))


def open_results(prefix):
    """A new file for lines of JSON: its descriptor and its path."""
    directory = os.path.join(os.environ.get("BUILD", TOP + "/build"), "bench")
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, time.strftime(prefix + "%Y-%m-%d-%H%M%S.jsonl"))
    return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644), path


def run_as_test_user(results, keep, *more, prefix=()):
    """This program anew, with its options and some more; its exit code."""
    command = [*prefix, TOP + "/ci/as-test-user", os.path.realpath(sys.argv[0]), *sys.argv[1:], *more]
    if keep:
        command += ["--keep", os.path.realpath(keep)]  # the last one counts
    client = subprocess.Popen(command, env=dict(os.environ, RESULTS_FD=str(results)), pass_fds=[results])
    # It is the other's to end in good order; a terminal's interrupt reaches it by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: client.send_signal(number))
    return client.wait()


# --- as the test user -------------------------------------------------------------------

def machine_facts(work):
    cpu = next((line.partition(":")[2].strip() for line in read_text("/proc/cpuinfo").splitlines()
                if line.startswith("model name")), platform.machine())
    facts = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "cpus": os.cpu_count(),
        "cpu": cpu,
        "memory_bytes": kib_of("/proc/meminfo", "MemTotal") * 1024,
        "kernel": platform.release().partition("-")[0],
        "file_system": output_of("findmnt", "-n", "-o", "FSTYPE", "-T", work),
    }
    for program in ("postgres", "pg_standby_clone", "rsync", "pgbackrest"):
        if shutil.which(program):
            facts[program] = output_of(program, "version" if program == "pgbackrest" else "--version").splitlines()[0]
    return facts


def run_measured(options, body):
    """Calls body(work, scratch, emit): where primaries lie, where everything else does, and what writes a result down."""
    scratch = os.environ["WORK"]
    work = options.keep or scratch
    results = os.fdopen(int(os.environ["RESULTS_FD"]), "w")
    os.set_inheritable(results.fileno(), False)

    def emit(record):
        results.write(json.dumps(record) + "\n")
        results.flush()

    def end(number, _frame):
        sys.exit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        os.environ["BENCH_PG_MAJOR"] = output_of("postgres", "--version").split()[2].partition(".")[0]
        facts = machine_facts(work)
        # Where it worked says nothing of what it found.
        emit({"type": "machine", **facts, "options": {name: value for name, value in vars(options).items()
                                                      if name not in ("keep", "docs")}})
        for name, value in facts.items():
            say(f"{name:17} {value}")
        body(work, scratch, emit)
    except RuntimeError as error:
        sys.exit(f"bench: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench: {' '.join(error.cmd[:6])} ... ended with exit code {error.returncode}\n{error.stderr or ''}")
    finally:
        os.chdir("/")
        shutil.rmtree(scratch, ignore_errors=True)
