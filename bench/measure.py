"""measure.py: what /proc tells of a run, and the throw-away primary that is copied."""
import glob
import os
import socket
import subprocess
import sys
import threading

POLL_SECONDS = 0.1
TICK = os.sysconf("SC_CLK_TCK")


def read_text(path):
    """The content, or nothing: processes end while they are looked at."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def stat_of(pid):
    """Of a process: its parent, and its CPU seconds, its own and those of children that ended."""
    fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 15:
        return None
    return int(fields[1]), sum(map(int, fields[11:13])) / TICK, sum(map(int, fields[13:15])) / TICK


def children_of(parent):
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return {pid for pid in pids if (stat := stat_of(pid)) and stat[0] == parent}


def family_of(pid):
    return {pid}.union(*(family_of(child) for child in children_of(pid)))


def server_cpu_seconds(postmaster):
    """Of all its processes, also those that have ended: the postmaster reaps each of them."""
    _, own, ended = stat_of(postmaster)
    stats = filter(None, map(stat_of, children_of(postmaster)))
    return own + ended + sum(stat[1] + stat[2] for stat in stats)


def kib_of(path, field):
    for line in read_text(path).splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def loopback(unit):
    """What has passed over it, in "bytes" or "packets"."""
    return int(read_text(f"/sys/class/net/lo/statistics/tx_{unit}"))


class MemoryWatch(threading.Thread):
    """Looks every 100 ms at the memory of the client and of the backends that serve it."""

    def __init__(self, client, postmaster, others):
        super().__init__(daemon=True)
        self.client, self.postmaster, self.others = client, postmaster, others
        self.client_peaks, self.backend_peaks = {}, {}
        self.backends_sum_peak = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(POLL_SECONDS):
            # pg_basebackup receives WAL in a second process.
            for pid in family_of(self.client):
                peak = kib_of(f"/proc/{pid}/status", "VmHWM")
                self.client_peaks[pid] = max(self.client_peaks.get(pid, 0), peak)
            now = {pid: kib_of(f"/proc/{pid}/smaps_rollup", "Private_Dirty")
                   for pid in children_of(self.postmaster) - self.others}
            for pid, dirty in now.items():
                self.backend_peaks[pid] = max(self.backend_peaks.get(pid, 0), dirty)
            self.backends_sum_peak = max(self.backends_sum_peak, sum(now.values()))

    def stop(self):
        self.ended.set()
        self.join()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def files_of(directory):
    for path in glob.iglob(glob.escape(directory) + "/**", recursive=True):
        # No copy takes WAL or the relation cache.
        if os.path.isfile(path) and "/pg_wal/" not in path and not path.endswith("pg_internal.init"):
            yield path


def into_cache(*directories):
    for directory in directories:
        for path in files_of(directory):
            with open(path, "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


class Primary:
    def __init__(self, directory):
        self.directory = directory
        self.socket_directory = os.path.dirname(directory)
        self.log = directory + ".log"
        self.port = free_port()
        self.connection = ["-h", "127.0.0.1", "-p", str(self.port)]

    def initialize(self):
        subprocess.run(["initdb", "-D", self.directory, "-U", "postgres", "-A", "trust", "-k", "-N", "-E", "UTF8",
                        "--no-locale"], check=True, stdout=subprocess.DEVNULL)
        with open(self.directory + "/postgresql.conf", "a") as conf:
            # Nothing but the copy shall be at work while it is measured.
            conf.write("listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
                       "autovacuum = off\nmax_wal_size = 8GB\ncheckpoint_timeout = 1d\n")

    def start(self, *settings):
        options = " ".join(f"-c {setting}" for setting in (
            f"port={self.port}", f"unix_socket_directories={self.socket_directory}", *settings))
        done = subprocess.run(["pg_ctl", "-D", self.directory, "-l", self.log, "-o", options, "-w", "-t", "600",
                               "start"], stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit("bench: the primary does not start:\n" + read_text(self.log)[-2000:])
        with open(self.directory + "/postmaster.pid") as file:
            self.pid = int(file.readline())

    def stop(self, mode="fast"):
        subprocess.run(["pg_ctl", "-D", self.directory, "-m", mode, "-w", "-t", "600", "stop"],
                       check=True, stdout=subprocess.DEVNULL)

    def psql_command(self):
        return ["psql", *self.connection, "-U", "postgres", "-d", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1"]

    def psql(self, sql):
        done = subprocess.run([*self.psql_command(), "-c", sql], check=True, text=True, stdout=subprocess.PIPE)
        return done.stdout.strip()

    def settle(self):
        """Nothing of the last run is left to write."""
        self.psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")
        self.psql("CHECKPOINT")
        os.sync()

    def size(self):
        """Files and bytes."""
        paths = list(files_of(self.directory))
        return len(paths), sum(map(os.path.getsize, paths))
