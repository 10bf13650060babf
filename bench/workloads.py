"""workloads.py: the primaries that are copied."""
import os
import shutil
import subprocess

from harness import say
from measure import Primary


def load_big_database(primary, options):
    subprocess.run(["pgbench", "-i", "-q", "-s", str(options.scale), *primary.connection, "-U", "postgres", "postgres"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def load_small_tables(primary, options):
    # The text column brings each table a toast table with its index: four files a table.
    primary.psql(f"""DO $$ BEGIN
        FOR n IN 1..{options.tables} LOOP
          EXECUTE format('CREATE TABLE small_%s (id integer PRIMARY KEY, text text)', n);
          EXECUTE format('INSERT INTO small_%s SELECT i, md5(i::text) FROM generate_series(1, 20) i', n);
          IF n % 100 = 0 THEN COMMIT; END IF;
        END LOOP; END $$""")


def load_rows(random_part):
    """Rows of 1900 bytes, of which so many are random: what compression leaves is known beforehand."""
    def load(primary, options):
        primary.psql("CREATE TABLE rows (content bytea)")
        primary.psql("ALTER TABLE rows ALTER content SET STORAGE PLAIN")
        writer = subprocess.Popen(["psql", *primary.connection, "-U", "postgres", "-d", "postgres", "-XAtq", "-c",
                                   "COPY rows FROM STDIN (FORMAT binary)"], stdin=subprocess.PIPE)
        random = int(1900 * random_part)
        writer.stdin.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for _ in range(options.size * 1000000 // 2048):
            writer.stdin.write((1).to_bytes(2, "big") + (1900).to_bytes(4, "big") + os.urandom(random) +
                               b"the same words again and again; "[:32] * ((1900 - random) // 32) +
                               bytes((1900 - random) % 32))
        writer.stdin.write((-1).to_bytes(2, "big", signed=True))
        writer.stdin.close()
        if writer.wait() != 0:
            raise subprocess.CalledProcessError(writer.returncode, ["psql", "COPY"])
    return load


WORKLOADS = {
    "A": ("one big database", load_big_database, lambda options: f"scale{options.scale}"),
    "B": ("many small tables", load_small_tables, lambda options: f"tables{options.tables}"),
    "H": ("half compressible rows", load_rows(0.5), lambda options: f"size{options.size}"),
    "I": ("incompressible rows", load_rows(1.0), lambda options: f"size{options.size}"),
    "L": ("pgbench tables, for a load", load_big_database, lambda options: f"scale{options.scale}"),
}


def prepare(work, letter, options, *settings):
    """A running primary with the workload's data, loaded now or by an earlier run with --keep."""
    title, load, size_name = WORKLOADS[letter]
    name = f"{letter}-{size_name(options)}-pg{os.environ['BENCH_PG_MAJOR']}"
    directory = os.path.join(work, name)
    if not os.path.exists(directory + ".loaded"):
        say(f"loading workload {letter}, {title} ({name}) ...")
        shutil.rmtree(directory, ignore_errors=True)
        primary = Primary(directory)
        primary.initialize()
        # While loading only; the server that is measured runs with fsync on.
        primary.start("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_locks_per_transaction=512")
        try:
            load(primary, options)
            primary.psql("CREATE ROLE replicator LOGIN REPLICATION")
            primary.psql("VACUUM")
        except BaseException:
            primary.stop("immediate")
            raise
        primary.stop()
        os.sync()
        open(directory + ".loaded", "w").close()
    primary = Primary(directory)
    primary.start(*settings)
    # As it is now, also where the data is of an earlier run.
    primary.psql("SET client_min_messages = warning; DROP EXTENSION IF EXISTS pg_standby_clone")
    primary.psql("CREATE EXTENSION pg_standby_clone")
    return primary
