# Histories of chance: what a directory and its donor lived through before --delta, and the way that is taken is left to it.
# Tables are cut and grown again over several checkpoints, vacuumed, moved, dropped and made anew, databases of both
# strategies, tablespaces, unlogged tables, prepared transactions; the standby stops in order, crashes, is killed,
# lags behind, has become the primary, or has parted from it. Each is proved equal afterwards, row by row, index by index
# and in the visibility map.
#
# STANDBY_CLONE_ROUNDS: how many histories. STANDBY_CLONE_SEED: of the first; each next one has the next number, which
# alone decides what happens.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use StandbyClone;

my $rounds = $ENV{STANDBY_CLONE_ROUNDS} // 2;
my $first_seed = $ENV{STANDBY_CLONE_SEED} // ((time() * 1000) % 1_000_000 + $$) % 1_000_000;
diag("STANDBY_CLONE_SEED=$first_seed STANDBY_CLONE_ROUNDS=$rounds");
my %taken;

sub one_of { return $_[ int(rand(@_)) ] }
sub chance { return rand() < $_[0] }

my $number;      # of the operation, over the whole history
my @tables = map { "t$_" } 1 .. 4;

# What servers live through. Each gets the node, and a table of the four.
my %operations = (
	insert => sub { "INSERT INTO $_[1] SELECT n, repeat('$number', 50) FROM generate_series(1, " . int(rand(3000)) . ") n" },
	update => sub { "UPDATE $_[1] SET text = '$number' || n WHERE n % " . (2 + int(rand(40))) . ' = 0' },
	delete => sub { "DELETE FROM $_[1] WHERE n % " . (2 + int(rand(5))) . ' = 1' },
	cut => sub { "DELETE FROM $_[1] WHERE n > " . int(rand(500)) . ";\nVACUUM $_[1]" },
	truncate => sub { "TRUNCATE $_[1]" },
	vacuum => sub { "VACUUM $_[1]" },
	freeze => sub { "VACUUM FREEZE $_[1]" },
	full => sub { "VACUUM FULL $_[1]" },
	read => sub { "SELECT count(*) FROM $_[1]" },
	catalogue => sub { 'VACUUM FULL ' . one_of(qw(pg_class pg_attribute pg_authid)) },
	reindex => sub { "REINDEX TABLE $_[1]" },
	anew => sub { "DROP TABLE $_[1];\nCREATE TABLE $_[1] AS SELECT n, '$number'::text AS text FROM generate_series(1, 2000) n;\n"
		  . "CREATE INDEX ON $_[1] (n)" },
	move => sub { "ALTER TABLE $_[1] SET TABLESPACE " . one_of('pg_default', 'other') },
	temporary => sub { "BEGIN;\nCREATE TABLE rolled_back AS SELECT * FROM $_[1];\nROLLBACK" },
	unlogged => sub { 'ALTER TABLE unlogged SET ' . one_of(qw(LOGGED UNLOGGED)) },
	sequence => sub { "SELECT nextval('counter') FROM generate_series(1, 50)" },
	large => sub { "SELECT lo_from_bytea(0, decode(repeat('abcd', 3000), 'hex'))" },
	prepare => sub { "BEGIN;\nINSERT INTO $_[1] VALUES ($number, 'prepared');\nPREPARE TRANSACTION 'p$number'" },
	resolve => sub {
		my $name = $_[0]->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts ORDER BY random() LIMIT 1');
		$name eq '' ? 'SELECT 1' : one_of('COMMIT', 'ROLLBACK') . " PREPARED '$name'" },
	database => sub {
		my ($node) = @_;
		my $name = "d$number";
		"CREATE DATABASE $name STRATEGY " . one_of(qw(file_copy wal_log)) . ' TEMPLATE ' . one_of('template0', 'other_template') },
	drop_database => sub {
		my $name = $_[0]->safe_psql('postgres', q(SELECT datname FROM pg_database WHERE datname LIKE 'd%' LIMIT 1));
		$name eq '' ? 'SELECT 1' : "DROP DATABASE $name" },
	checkpoint => sub { 'CHECKPOINT' },
	switch => sub { 'SELECT pg_switch_wal()' },);
my @often = qw(checkpoint insert update cut vacuum read);

# A transaction that is prepared holds locks: what would wait for them is given up.
sub live
{
	my ($node, $count) = @_;
	my @names = sort keys %operations;
	for (1 .. $count)
	{
		++$number;
		my $operation = chance(0.4) ? one_of(@often) : one_of(@names);
		my $text = "SET lock_timeout = '200ms';\n" . $operations{$operation}->($node, one_of(@tables));
		$text = "CHECKPOINT;\n$text" if chance(0.15);
		# Each statement is a transaction of its own.
		my ($rc, $out, $err) = $node->psql('postgres', "$text;\n", on_error_stop => 0);
		note("$operation: $err") if $err;
	}
	return;
}

# No page that the map calls all-visible lacks the mark, and pages and map say the same as the donor's rows do.
sub check_map
{
	my ($node, $what) = @_;
	is($node->safe_psql('postgres', <<'SQL'), '', "$what: the visibility map holds");
SELECT c.relname, v.blkno FROM pg_class c, pg_visibility(c.oid) v
 WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p' AND v.all_visible AND NOT v.pd_all_visible
SQL
	is($node->safe_psql('postgres', <<'SQL'), '', "$what: what is called all-visible is");
SELECT c.relname, p.t_ctid FROM pg_class c, pg_check_visible(c.oid) p WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
SQL
	return;
}

sub stop_somehow
{
	my ($node) = @_;
	my $how = one_of(qw(fast fast immediate kill));
	if ($how ne 'kill') { $node->stop($how) }
	else
	{
		$node->kill9;
		# Where nobody has asked yet how it ended, its number still lives.
		unlink $node->host . '/.s.PGSQL.' . $node->port . '.lock';
	}
	return $how;
}

sub live_through
{
	my ($seed) = @_;
	srand($seed);
	$number = 0;
	my $checksums = chance(0.6);
	my $hints = chance(0.3) ? 'on' : 'off';
	my $keep = one_of('0', '1GB');
	my $primary = new_primary(name => "one$seed", checksums => $checksums, conf => <<CONF);
checkpoint_timeout = 1h
wal_log_hints = $hints
wal_keep_size = $keep
max_prepared_transactions = 10
max_wal_size = 64MB
log_checkpoints = off
CONF
	my $major = major_of($primary);
	my $summaries = $major >= 17 && chance(0.75);
	if ($summaries)
	{
		$primary->append_conf('postgresql.conf', "summarize_wal = on\n");
		$primary->restart;
	}
	my $what = "history $seed (" . join(', ', $checksums ? 'checksums' : (), "hints $hints", "keep $keep", $summaries ? 'summaries' : ()) . ')';
	my ($place, $mapped) = (scratch('a'), scratch('b'));
	$primary->safe_psql('postgres', $_) for (
		'CREATE EXTENSION amcheck', 'CREATE EXTENSION pg_visibility', "CREATE TABLESPACE other LOCATION '$place'",
		'CREATE DATABASE other_template', 'CREATE SEQUENCE counter', 'CREATE UNLOGGED TABLE unlogged AS SELECT generate_series(1, 500) n');
	$primary->safe_psql('other_template', 'CREATE TABLE copied AS SELECT generate_series(1, 5000) n');
	$primary->safe_psql('postgres', "CREATE TABLE $_ (n int, text text); CREATE INDEX ON $_ (n);"
		. "INSERT INTO $_ SELECT n, repeat('x', 100) FROM generate_series(1, 3000) n") for @tables;
	my $standby = new_place("two$seed");
	my @options = ('-N', '-T', "$place=$mapped");
	my $run = run_clone($primary, $standby, @options, '--name', $standby->name);
	exit_is($run, 'completed', "$what: the first clone") or return;
	prove_standby($primary, $standby, "$what: the first clone", slot => $standby->name) or return;

	for my $turn (1 .. 3)
	{
		my $told = "$what, turn $turn";
		live($primary, 3 + int(rand(10)));
		catch_up($primary, $standby) if chance(0.7);
		my $event = one_of(qw(behind behind behind switchover failover));
		my ($donor, $target) = ($primary, $standby);
		if ($event eq 'behind') { $told .= ', behind, ' . stop_somehow($standby) }
		else
		{
			if ($event eq 'switchover') { $primary->stop; }
			$standby->promote;
			if ($event eq 'failover')
			{
				live($standby, int(rand(4))) if chance(0.5);
				live($primary, 1 + int(rand(5)));
				$told .= ', parted, ';
				my $how = one_of(qw(fast immediate));
				$primary->stop($how);
				$told .= $how;
			}
			else { $told .= ', switched over' }
			($donor, $target) = ($standby, $primary);
			# As a standby it has what the WAL said ahead of the values that were given out; the old primary has these.
			$donor->safe_psql('postgres', q(SELECT nextval('counter')));
		}
		live($donor, 2 + int(rand(12)));
		my $name = $target->name;
		my @how = one_of([ '--delta' ], [ '--delta', '--donor-config' ], [ '--delta=changes' ], [ '--delta=changes' ]);
		my @command = ('--name', $name, '--json', '-v', '-N', @{ $how[0] });
		my $again = run_clone($donor, $target, @command);
		if ("@{ $how[0] }" eq '--delta=changes' && $again->finish == $StandbyClone::EXIT{target})
		{
			like($again->err, qr/what changed|WAL|history|crashed/, "$told: by name what changed is not known");
			$again = run_clone($donor, $target, '--name', $name, '--json', '-v', '-N', '--delta');
		}
		my ($method) = $again->out =~ /"type":"result".*"method":"(\w+)"/;
		exit_is($again, 'completed', "$told: @{ $how[0] }") or return;
		++$taken{ $method };
		$told .= ", by $method";
		prove_standby($donor, $target, $told, slot => $name, no_manifest => $method eq 'replay') or return;
		check_map($target, $told);
		($primary, $standby) = ($donor, $target);
	}
	# As a primary it stands on its own.
	$primary->stop;
	$standby->promote;
	live($standby, 3);
	is($standby->safe_psql('postgres', "SELECT count(*) FROM t1 WHERE text = 'none'"), '0', "$what: promoted");
	$standby->stop;
	$_->clean_node for ($primary, $standby);
	return;
}

for my $seed ($first_seed .. $first_seed + $rounds - 1)
{
	live_through($seed);
	last unless Test::More->builder->is_passing;
}
diag('ways: ' . join(', ', map { "$_ $taken{$_}" } sort keys %taken));
done_testing();
