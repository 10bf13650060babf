# StandbyClone.pm: what the tests of whole clones share: a primary to clone, the program
# run to its end or watched while it runs, and the proof that a clone is one: it starts, catches
# up and holds the same rows.
package StandbyClone;

use strict;
use warnings;

use Exporter 'import';
use Fcntl qw(SEEK_SET);
use File::Path qw(make_path remove_tree);
use POSIX qw(WNOHANG);
use Time::HiRes qw(time usleep);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  new_primary fill_primary new_place start_clone run_clone start_server_in prove_standby
  same_content is_clean_on is_not_startable wait_until wait_for_copying catch_up
  file_path_of in_place exit_is clone_fails scratch content_of phase_of
  own_config prove_started wait_for_streaming start_agent request state_is adopt status_of wire_of
  fill_large freeze within sees_all_servers major_of);

# The exit codes of docs/exit-codes.md.
our %EXIT = (
  usage => 2, connection => 3, target => 4, preflight => 5, corrupted => 6,
  disk => 7, cancelled => 8, lost => 9, donor => 10, start => 11);

# The tests' own name would hide the program's in pg_stat_activity.
delete $ENV{PGAPPNAME};

my $default_limit = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 120;

# Polls until the code returns true; fails the test and returns 0 after the limit (seconds).
sub wait_until
{
	my ($what, $code, $limit) = @_;
	my $end = time() + ($limit // $default_limit);
	while (1)
	{
		my $result = $code->();
		return $result if $result;
		last if time() > $end;
		usleep(30_000);
	}
	fail("waited in vain: $what");
	return 0;
}

# A node's major version, a number; pg_version compares 19rc1 as less than 19.
sub major_of { return ($_[0]->pg_version =~ /^(\d+)/)[0] }

# A running primary with the extension in database postgres. Options: conf (text), initdb (list),
# no_extension, checksums => 0, name, start => 0.
sub new_primary
{
	my (%with) = @_;
	my $node = PostgreSQL::Test::Cluster->new($with{name} // 'primary');
	my @initdb = @{ $with{initdb} // [] };
	push @initdb, '--data-checksums' unless exists $with{checksums} && !$with{checksums};
	$node->init(allows_streaming => 1, extra => [ '--encoding=UTF8', @initdb ]);
	# Fields of the default configuration that would make tests slow or heavy.
	$node->append_conf('postgresql.conf', <<CONF);
autovacuum = off
max_wal_size = 1GB
shared_buffers = 32MB
max_worker_processes = 16
max_connections = 40
CONF
	$node->append_conf('postgresql.conf', $with{conf}) if $with{conf};
	return $node if exists $with{start} && !$with{start};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_standby_clone') unless $with{no_extension};
	return $node;
}

# Tables of some shapes: rows, toast, an index, a sequence, a materialized view, large object.
sub fill_primary
{
	my ($node, %with) = @_;
	my $rows = $with{rows} // 20000;
	$node->safe_psql('postgres', <<SQL);
CREATE EXTENSION amcheck;
CREATE TABLE plain (id integer PRIMARY KEY, text text);
INSERT INTO plain SELECT n, repeat(md5(n::text), 3) FROM generate_series(1, $rows) n;
CREATE TABLE toasted (id serial PRIMARY KEY, text text);
ALTER TABLE toasted ALTER text SET STORAGE EXTERNAL;
INSERT INTO toasted (text) SELECT repeat(md5(n::text), 300) FROM generate_series(1, 200) n;
CREATE SEQUENCE counter;
SELECT nextval('counter') FROM generate_series(1, 1000);
CREATE MATERIALIZED VIEW summary AS SELECT id % 10 AS group, count(*) FROM plain GROUP BY 1;
SELECT lo_from_bytea(0, decode(repeat('c0ffee', 5000), 'hex'));
SQL
}

# A node object for the clone to come: its data directory does not exist yet.
sub new_place
{
	my ($name) = @_;
	return PostgreSQL::Test::Cluster->new($name // 'standby');
}

sub in_place { return $_[0]->data_dir }

# A directory of this test for whatever else is needed (tablespaces, WAL).
sub scratch
{
	my ($name) = @_;
	my $path = PostgreSQL::Test::Utils::tempdir() . "/$name";
	make_path($path);
	return $path;
}

# --- the program ---------------------------------------------------------------------

# Starts the program: start_clone($primary, $directory or node, @options). The standby's name is
# `clone` unless the options say otherwise. Returns a StandbyClone::Run.
sub start_clone
{
	my ($primary, $to, @options) = @_;
	my $directory = ref $to ? $to->data_dir : $to;
	my @command = ('pg_standby_clone', '-D', $directory, '-w');
	push @command, '--name', 'clone' unless grep { $_ eq '--name' } @options;
	push @command, '-h', $primary->host, '-p', $primary->port if $primary;
	# A rate gives a test its time: less on the wire, where a busy machine makes it compress, would shorten it.
	push @command, '-Z', 'none' if (grep { $_ eq '-r' } @options) && !grep { $_ eq '-Z' } @options;
	push @command, '--assume-stopped' if (grep { /^--delta/ } @options) && !sees_all_servers();
	return StandbyClone::Run->new(@command, @options);
}

# In a container the program cannot know that a server that crashed is down; a test knows what it has stopped.
sub sees_all_servers
{
	my %first = (pid => 4026531836, ipc => 4026531839);
	return !grep { (readlink("/proc/self/ns/$_") // '') ne "$_:[$first{$_}]" } keys %first;
}

# The same, to its end.
sub run_clone
{
	my $run = start_clone(@_);
	$run->finish;
	return $run;
}

sub exit_is
{
	my ($run, $class, $what) = @_;
	my $wanted = $class eq 'completed' ? 0 : $EXIT{$class};
	my $ok = is($run->finish, $wanted, "$what: exit code for \"$class\"");
	diag($run->err) unless $ok;
	return $ok;
}

# A run that must fail: its class, and what its message says.
sub clone_fails
{
	my ($run, $class, $like, $what) = @_;
	exit_is($run, $class, $what);
	like($run->err, $like, "$what: says so");
	return $run;
}

# Bytes on the wire, by the account of a run with --json.
sub wire_of
{
	my ($run) = @_;
	return $1 if $run->out =~ /"type":"result".*"bytes_sent":(\d+)/;
	fail('the result says what was sent: ' . $run->out . $run->err);
	return 0;
}

# An agent for the target `clone`, unless the options say otherwise, known to the primary on return.
sub start_agent
{
	my ($primary, $to, @options) = @_;
	my $directory = ref $to ? $to->data_dir : $to;
	my @command = ('pg_standby_clone', 'agent', '-D', $directory, sees_all_servers() ? () : '--assume-stopped');
	push @command, '--name', 'clone' unless grep { $_ eq '--name' } @options;
	push @command, '-h', $primary->host, '-p', $primary->port unless grep { $_ eq '-d' } @options;
	push @command, '-Z', 'none' unless grep { $_ eq '-Z' } @options;    # as above, for rates in requests
	my $agent = StandbyClone::Run->new(@command, @options);
	my ($name) = map { $options[ $_ + 1 ] } grep { $options[$_] eq '--name' } 0 .. $#options;
	$name //= 'clone';
	wait_until("the agent for $name waits", sub {
		die 'the agent ended: ' . $agent->err unless $agent->is_running;
		$primary->safe_psql('postgres', "SELECT count(*) FROM clone_agents WHERE target = '$name'") eq '1'
	});
	return $agent;
}

# Asks for a clone; returns its number.
sub request
{
	my ($primary, $target, $options) = @_;
	$options //= '{}';
	return $primary->safe_psql('postgres', "SELECT request_standby_clone('$target', '$options')");
}

# Waits until a clone is in this state.
sub state_is
{
	my ($primary, $id, $state, $what) = @_;
	my $found = '';
	my $is_there = wait_until("$what: clone $id is $state", sub {
		$found = $primary->safe_psql('postgres', "SELECT state FROM clone_status($id)");
		return 1 if $found eq $state || $found =~ /^(?:completed|failed|cancelled)$/;
	});
	my $ok = is($found, $state, "$what: clone $id is $state");
	diag($primary->safe_psql('postgres', "SELECT phase, error FROM clone_status($id)")) unless $ok;
	return $is_there && $ok;
}

# --- what the primary sees -----------------------------------------------------------

sub phase_of
{
	my ($primary) = @_;
	return $primary->safe_psql('postgres', q(SELECT coalesce(max(phase), '') FROM clone_progress));
}

# Until files are being copied: from then on the copy is certain to be in its middle, with a
# --max-rate that makes it last.
sub wait_for_copying
{
	my ($primary, $run, $bytes) = @_;
	$bytes //= 0;
	return wait_until('the clone copies', sub {
		return 1 if $primary->safe_psql('postgres',
			"SELECT count(*) FROM clone_progress WHERE phase = 'copying' AND bytes_done > $bytes") > 0;
		die "the clone ended early: " . $run->err if !$run->is_running;
		return 0;
	});
}

# Tables for three streams, each more than sockets and buffers take in: a stream whose helper does not read stalls.
sub fill_large
{
	my ($primary) = @_;
	return $primary->safe_psql('postgres', <<'SQL');
CREATE TABLE big1 AS SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 80000) n;
CREATE TABLE big2 AS SELECT * FROM big1;
CREATE TABLE big3 AS SELECT * FROM big1;
SQL
}

# Stops a helper with three streams (SIGSTOP) until all of them stall. One that is frozen before it has connected
# all its streams never stalls them.
sub freeze
{
	my ($donor, $run) = @_;
	wait_for_copying($donor, $run);
	wait_until('all streams send', sub {
		$donor->safe_psql('postgres', 'SELECT count(*) FROM clone_streams WHERE bytes_sent > 0') eq '3' });
	$run->signal('STOP');
	return wait_until('all streams wait for the helper', sub {
		$donor->safe_psql('postgres', "SELECT count(*) FROM clone_streams WHERE waiting_for = 'network'") eq '3' });
}

# A piece of code takes less than so many seconds.
sub within
{
	my ($limit, $what, $code) = @_;
	my $before = time();
	$code->();
	my $took = time() - $before;
	note(sprintf '%s took %.2f s', $what, $took);
	return cmp_ok($took, '<', $limit, "$what: within $limit s");
}

# Nothing of a clone is left on the primary: no slot (but those named), no backup, no backend.
sub is_clean_on
{
	my ($primary, $what, @kept_slots) = @_;
	my $kept = join ',', map { "'$_'" } ('', @kept_slots);
	my $query = <<SQL;
SELECT (SELECT count(*) FROM pg_replication_slots WHERE slot_name NOT IN ($kept))
     + (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'standby clone worker'
        OR (application_name = 'pg_standby_clone' AND pid <> pg_backend_pid()))
     + (SELECT count(*) FROM clone_progress) + (SELECT count(*) FROM pg_stat_progress_basebackup)
SQL
	my $is_clean = wait_until("$what: nothing is left on the donor",
		sub { $primary->safe_psql('postgres', $query) eq '0' }, 30);
	if ($is_clean) { pass("$what: nothing is left on the donor") }
	else
	{
		diag($primary->safe_psql('postgres',
			"SELECT pid, backend_type, application_name, state, wait_event FROM pg_stat_activity"));
		diag($primary->safe_psql('postgres', "TABLE pg_replication_slots"));
	}
	return $is_clean;
}

# --- the proof -----------------------------------------------------------------------

sub content_of
{
	my ($path) = @_;
	open my $file, '<:raw', $path or return '';
	local $/;
	my $content = <$file>;
	close $file;
	return $content;
}

# A directory that must not be taken for a cluster: no server starts there.
sub is_not_startable
{
	my ($directory, $what) = @_;
	return ok(1, "$what: nothing startable, there is no directory") unless -d $directory;
	ok(!-e "$directory/global/pg_control", "$what: pg_control has no name");
	my ($out, $err) = ('', '');
	my $finished = IPC::Run::run([ 'postgres', '-D', $directory, '-p', '1', '-k', '' ],
		'>', \$out, '2>', \$err, IPC::Run::timeout(60));
	return ok(!$finished, "$what: no server starts there");
}

# Makes the clone a server of its own on this machine and starts it.
sub start_server_in
{
	my ($standby, %with) = @_;
	my $port = $standby->port;
	my $host = $standby->host;
	$standby->append_conf('postgresql.conf', "port = $port\n"
		. ($PostgreSQL::Test::Utils::use_unix_sockets
			? "unix_socket_directories = '$host'\nlisten_addresses = ''\n" : "")
		. ($with{conf} // ''));
	return $standby->start(fail_ok => $with{fail_ok} // 0);
}

# Until the standby has replayed what the primary has now.
sub catch_up
{
	my ($primary, $standby) = @_;
	my $in_recovery = $primary->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 't';
	my $lsn = $primary->safe_psql('postgres', $in_recovery
		? 'SELECT pg_last_wal_replay_lsn()' : 'SELECT pg_current_wal_insert_lsn()');
	# The WAL writer goes by the day's time: where that has jumped back an idle server keeps the end of its WAL to
	# itself until somebody commits.
	$primary->safe_psql('postgres', "SET synchronous_commit = local; SELECT pg_logical_emit_message(true, 'tests', 'flush')")
	  if !$in_recovery && $primary->safe_psql('postgres', "SELECT pg_current_wal_flush_lsn() < '$lsn'") eq 't';
	return wait_until('the standby catches up', sub {
		my ($rc, $out, $err) = $standby->psql('postgres',
			"SELECT pg_last_wal_replay_lsn() >= '$lsn'");
		return defined $out && $out eq 't';
	});
}

# The rows of each table of each database that lets us in, catalogues too, as one text.
sub rows_of
{
	my ($node) = @_;
	my $tables = <<'SQL';
SET datestyle = 'ISO'; SET timezone = 'UTC'; SET extra_float_digits = 3;
SELECT format('SELECT %L, count(*), md5(string_agg(t::text, E''\n'' ORDER BY t::text COLLATE "C")) FROM %I.%I t',
              n.nspname || '.' || c.relname, n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
   AND n.nspname NOT IN ('information_schema')
 ORDER BY n.nspname, c.relname \gexec
SQL
	my %rows;
	my @databases = split /\n/, $node->safe_psql('postgres',
		'SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1');
	for my $database (@databases)
	{
		$rows{$database} = $node->safe_psql($database, $tables);
	}
	return \%rows;
}

# A standby may be ahead in a sequence by the values logged beforehand, never behind.
sub sequences_of
{
	my ($node) = @_;
	my %values;
	for my $database (split /\n/, $node->safe_psql('postgres',
			'SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1'))
	{
		my $rows = $node->safe_psql($database, <<'SQL');
SELECT format('SELECT %L, last_value FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'S' AND c.relpersistence = 'p' ORDER BY 1 \gexec
SQL
		$values{"$database.$1"} = $2 while $rows =~ /^(.*)\|(-?\d+)$/mg;
	}
	return \%values;
}

sub same_content
{
	my ($primary, $standby, $what) = @_;
	my ($expected, $found) = (rows_of($primary), rows_of($standby));
	my $is_same = is(join(' ', sort keys %$found), join(' ', sort keys %$expected),
		"$what: the same databases");
	for my $database (sort keys %$expected)
	{
		next if ($found->{$database} // '') eq $expected->{$database};
		$is_same = 0;
		my %other = map { $_ => 1 } split /\n/, $found->{$database} // '';
		diag("differs in $database: $_") for grep { !$other{$_} } split /\n/, $expected->{$database};
	}
	ok($is_same, "$what: the same rows in each table of " . scalar(keys %$expected) . ' databases');
	my ($lead, $follow) = (sequences_of($primary), sequences_of($standby));
	my @behind = grep { !defined $follow->{$_} || $follow->{$_} < $lead->{$_} } sort keys %$lead;
	is("@behind", '', "$what: no sequence is behind");
	return $is_same;
}

# The whole proof: backup_manifest holds, the standby starts, streams (from its slot), catches up,
# has the same rows and sound tables and indexes. Options: conf, no_manifest, no_wal (-X none), slot
# (name, or '' for none), amcheck => 0, verify (more arguments of pg_verifybackup), quiet => 0 when
# the primary is being written to (then the caller compares later).
sub prove_standby
{
	my ($primary, $standby, $what, %with) = @_;
	my $directory = $standby->data_dir;
	for my $left (qw(pg_standby_clone.journal postmaster.pid recovery.signal tablespace_map))
	{
		ok(!-e "$directory/$left", "$what: no $left is left");
	}
	unless ($with{no_manifest})
	{
		command_ok([ 'pg_verifybackup', ($with{no_wal} ? '--no-parse-wal' : ()),
				@{ $with{verify} // [] }, $directory ], "$what: pg_verifybackup is content");
	}
	return 0 unless start_server_in($standby, %with);
	is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', "$what: it is a standby");
	wait_until("$what: it streams", sub {
		$standby->safe_psql('postgres',
			q(SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming')) eq '1' });
	my $slot = $with{slot} // 'clone';
	if ($slot ne '')
	{
		is($primary->safe_psql('postgres',
				"SELECT active, temporary FROM pg_replication_slots WHERE slot_name = '$slot'"),
			't|f', "$what: it uses its permanent slot");
	}
	catch_up($primary, $standby);
	return 1 if exists $with{quiet} && !$with{quiet};
	same_content($primary, $standby, $what);
	check_tables($standby, $what) unless exists $with{amcheck} && !$with{amcheck};
	return 1;
}

sub check_tables
{
	my ($node, $what) = @_;
	return if $node->safe_psql('postgres',
		q(SELECT count(*) FROM pg_extension WHERE extname = 'amcheck')) eq '0';
	my ($out, $err) = ('', '');
	my $sound = IPC::Run::run([ 'pg_amcheck', '--no-progress', '-d', 'postgres', '-h', $node->host,
			'-p', $node->port ], '>', \$out, '2>', \$err);
	if (!$sound && $err =~ /no-progress/)
	{
		$sound = IPC::Run::run([ 'pg_amcheck', '-d', 'postgres', '-h', $node->host, '-p', $node->port ],
			'>', \$out, '2>', \$err);
	}
	ok($sound, "$what: pg_amcheck is content") or diag($out . $err);
}

# A configuration of the standby's own, outside its data directory, for --config-file.
sub own_config
{
	my ($standby, %with) = @_;
	my $file = scratch($with{name} // 'config_of_' . $standby->name) . '/postgresql.conf';
	my ($port, $host) = ($standby->port, $standby->host);
	open my $conf, '>', $file or die "$file: $!";
	print $conf <<CONF;
port = $port
max_connections = 40
max_worker_processes = 16
shared_buffers = 32MB
log_line_prefix = '%m [%p] '
CONF
	print $conf $PostgreSQL::Test::Utils::use_unix_sockets
	  ? "unix_socket_directories = '$host'\nlisten_addresses = ''\n"
	  : "listen_addresses = '$host'\n";
	print $conf $with{conf} // '';
	close $conf;
	return $file;
}

# A server that the program has started becomes the node's, which stops it at the end.
sub adopt
{
	my ($standby) = @_;
	return 0 unless -e $standby->data_dir . '/postmaster.pid';
	$standby->_update_pid(1);
	return 1;
}

# Until a standby that was started by hand streams from this slot.
sub wait_for_streaming
{
	my ($primary, $slot) = @_;
	return wait_until("the standby streams from slot $slot", sub {
		$primary->safe_psql('postgres',
			"SELECT count(*) FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid"
			  . " WHERE slot_name = '$slot' AND r.state = 'streaming'") eq '1' });
}

# The proof of a standby that the program has started: it streams already, from its slot.
sub prove_started
{
	my ($primary, $standby, $what, %with) = @_;
	adopt($standby);
	my $slot = $with{slot} // 'clone';
	is($primary->safe_psql('postgres',
			"SELECT r.state FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid"
		  . " WHERE slot_name = '$slot' AND NOT temporary"),
		'streaming', "$what: it streams from its permanent slot") if $slot ne '';
	is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', "$what: it is a standby");
	catch_up($primary, $standby);
	same_content($primary, $standby, $what);
	check_tables($standby, $what);
	return 1;
}

# A column of the newest clone, as clone_status() has it.
sub status_of
{
	my ($primary, $columns) = @_;
	return $primary->safe_psql('postgres', "SELECT $columns FROM clone_status() LIMIT 1");
}

# Absolute path of a relation's file on a node.
sub file_path_of
{
	my ($node, $database, $relation) = @_;
	return $node->data_dir . '/'
	  . $node->safe_psql($database, "SELECT pg_relation_filepath('$relation')");
}

# --- a run of the program -------------------------------------------------------------

package StandbyClone::Run;

use strict;
use warnings;
use POSIX qw(WNOHANG);
use Time::HiRes qw(time usleep);
use Test::More;

my $number = 0;
my @all;

sub new
{
	my ($class, @command) = @_;
	my $base = PostgreSQL::Test::Utils::tempdir() . '/run' . ++$number;
	my $self = bless {
		command => \@command, out => "$base.out", err => "$base.err", owner => $$ }, $class;
	note("# " . join(' ', @command));
	my $pid = fork();
	die "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', $self->{out};
		open STDERR, '>', $self->{err};
		exec { $command[0] } @command or do {
			print STDERR "exec: $!\n";
			POSIX::_exit(127);
		};
	}
	$self->{pid} = $pid;
	$self->{started} = time();
	push @all, $self;
	return $self;
}

# A whole command line, run to its end.
sub finished
{
	my $run = StandbyClone::Run->new(@_);
	$run->finish;
	return $run;
}

sub pid { return $_[0]{pid} }

sub signal
{
	my ($self, $signal) = @_;
	kill $signal, $self->{pid} unless defined $self->{status};
}

sub is_running
{
	my ($self) = @_;
	return 0 if defined $self->{status};
	return 1 if waitpid($self->{pid}, WNOHANG) == 0;
	$self->{status} = $?;
	$self->{seconds} = time() - $self->{started};
	return 0;
}

# Waits for its end, with a limit; returns the exit code, or "signal N".
sub finish
{
	my ($self, $limit) = @_;
	my $end = time() + ($limit // $ENV{PG_TEST_TIMEOUT_DEFAULT} // 120);
	while ($self->is_running)
	{
		if (time() > $end)
		{
			Test::More::fail("the program ended in time");
			diag("it said: " . $self->err);
			kill 'CONT', $self->{pid};
			kill 'KILL', $self->{pid};
			waitpid($self->{pid}, 0);
			$self->{status} = $?;
			last;
		}
		usleep(20_000);
	}
	my $status = $self->{status};
	note($self->err) if !$self->{noted}++;
	return $status & 127 ? 'signal ' . ($status & 127) : $status >> 8;
}

sub seconds { return $_[0]{seconds} }
sub out { return StandbyClone::content_of($_[0]{out}) }
sub err { return StandbyClone::content_of($_[0]{err}) }

# A test that dies leaves no stopped or waiting program behind.
END
{
	local $?;    # which waitpid sets, and which is this test's exit code
	for my $run (@all)
	{
		next if $run->{owner} != $$ || !$run->is_running;
		kill 'CONT', $run->{pid};
		kill 'KILL', $run->{pid};
		waitpid($run->{pid}, 0);
	}
}

1;
