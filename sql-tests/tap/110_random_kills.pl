# Whatever breaks, at moments of chance, under writes: streams, the control connection, WAL senders, the helper, the
# clone worker, the donor, the network; a second helper in the same directory, processes left of a standby. No server starts in what a failed run leaves, and the same
# command, again and again, makes a standby that is equal.
#
# STANDBY_CLONE_ROUNDS: how many rounds. STANDBY_CLONE_SEED: of the first; each next round has the next number, which
# alone decides what the round does (an odd one makes a clone, an even one makes a stale standby current). When
# things happen within a run depends on the machine.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use StandbyClone;
use StandbyProxy;

my $rounds = $ENV{STANDBY_CLONE_ROUNDS} // 5;
my $first_seed = $ENV{STANDBY_CLONE_SEED} // ((time() * 1000) % 1_000_000 + $$) % 1_000_000;
my $disturbed_tries = 2;
my $most_tries = 10;
diag("STANDBY_CLONE_SEED=$first_seed STANDBY_CLONE_ROUNDS=$rounds");

# A helper that was killed is waited for that long, and no longer.
my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = '2s'\nrestart_after_crash = on\n");
fill_primary($primary, rows => 10000);
command_ok([ 'pgbench', '-i', '-q', '-s', '1', '-h', $primary->host, '-p', $primary->port, 'postgres' ], 'pgbench tables');
my $network = StandbyProxy->new($primary);
my $load;

sub start_load
{
	$load = StandbyClone::Run->new('pgbench', '-n', '-c', '2', '-R', '100', '-T', '600', '-h', $primary->host, '-p',
		$primary->port, 'postgres');
}

sub stop_load
{
	$load->signal('INT');
	$load->finish;
}

sub sql { return $primary->safe_psql('postgres', $_[0]) }
sub terminate { return sql("SELECT count(pg_terminate_backend(pid)) FROM $_[0]") }

my %hazards = (
	'a stream' => sub { terminate('(SELECT pid FROM clone_streams ORDER BY random() LIMIT 1) s') },
	'all streams' => sub { terminate('clone_streams') },
	'the control connection' => sub { terminate(<<'SQL') },
pg_stat_activity WHERE application_name = 'pg_standby_clone' AND backend_type = 'client backend'
 AND pid NOT IN (SELECT pid FROM clone_streams)
SQL
	'the WAL sender' => sub { terminate(q(pg_stat_replication WHERE application_name = 'pg_standby_clone')) },
	'the helper' => sub { my ($run) = @_; $run->signal('KILL'); 1 },
	'the clone worker' => sub { terminate(q(pg_stat_activity WHERE backend_type = 'standby clone worker')) },
	'the donor' => sub {
		$primary->stop('immediate');
		$load->finish;
		$primary->start;
		start_load();
		1;
	},
	'a second helper' => sub {
		my ($run, @command) = @_;
		return 0 if sql('SELECT count(*) FROM clone_progress') eq '0';    # before that it has not taken the directory
		my $second = run_clone(@command);
		# Unless the first one has ended meanwhile.
		return 0 unless $run->is_running;
		ok((grep { $second->finish eq $_ } @StandbyClone::EXIT{qw(target preflight connection lost donor)}), 'a second helper is refused')
		  or diag($second->err);
		1;
	},
	'the network' => sub {
		$network->cut;
		usleep(int(rand(800_000)));
		$network->mend;
		1;
	});
my @names = sort keys %hazards;
my (%struck, %ended);

# One run, with what happens to it.
sub try_once
{
	my ($history, $is_disturbed, @command) = @_;
	my @plan = $is_disturbed
	  ? sort { $a->[0] <=> $b->[0] } map { [ rand(2.2), $names[ rand @names ] ] } 1 .. 1 + int(rand(3))
	  : ();
	my $run = start_clone(@command);
	my $since = time();
	for my $event (@plan)
	{
		my ($when, $what) = @$event;
		usleep(10_000) while $run->is_running && time() - $since < $when;    # a moment that rand() chose
		last unless $run->is_running;
		my $hit = $hazards{$what}->($run, @command);
		push @$history, sprintf('%.2f s: %s%s', time() - $since, $what, $hit ? '' : ' (not there)');
		$struck{$what}++ if $hit;
	}
	my $end = $run->finish(60);
	my ($words) = $run->err =~ /error: (.*)/;
	push @$history, "ended with $end" . ($words ? ": $words" : '');
	$ended{$end}++;
	return ($run, $end);
}

# Ends that running it again helps against: connection, lost, donor, and what was killed.
my %may_end = map { $_ => 1 } 'signal 9', @StandbyClone::EXIT{qw(connection lost donor)};

# The same command until it has completed; returns whether it has.
sub try_until_complete
{
	my ($what, $history, $standby, @options) = @_;
	my $data = $standby->data_dir;
	my $is_delta = grep { /^--delta/ } @options;
	for my $try (1 .. $most_tries)
	{
		my ($run, $end) = try_once($history, $try <= $disturbed_tries, undef, $standby, $network->options, @options);
		return 1 if $end eq '0';
		if ($end eq $StandbyClone::EXIT{preflight} && $run->err =~ /is already running/)
		{
			# A killed helper's clone: its lease must end first.
			wait_until("$what: the lease ends", sub { sql('SELECT count(*) FROM clone_progress') eq '0' }, 20) or return 0;
		}
		elsif (!ok($may_end{$end}, "$what: try $try may end with $end"))
		{
			diag($run->err);
			return 0;
		}
		my $is_unfinished = -e "$data/pg_standby_clone.journal";
		if (-e "$data/global/pg_control" && ($is_unfinished || !$is_delta))
		{
			# Complete, but for the word to the donor: the next run says so, or refuses a standby.
			my $next = run_clone(undef, $standby, $network->options, @options);
			ok($next->err =~ /complete/ || $next->finish eq $StandbyClone::EXIT{target}, "$what: it was complete")
			  or diag($next->err);
			push @$history, 'was complete';
			return 1 if $next->finish ne '0' || !-e "$data/pg_standby_clone.journal";
		}
		# Before its first change a directory that is made current is what it was.
		is_not_startable($data, "$what: try $try") if $is_unfinished || !$is_delta;
	}
	fail("$what: complete after $most_tries tries");
	return 0;
}

sub slot_is_there { return sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$_[0]'") eq '1' }

# The standby ends; of one that is killed a process may be left, which the next delta does not overlook.
my $orphan;

sub end_standby
{
	my ($standby) = @_;
	my $how = int(rand(3));
	return $standby->stop($how ? 'fast' : 'immediate') if $how < 2;
	$orphan = $standby->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
	kill 'STOP', $orphan;
	my ($postmaster) = content_of($standby->data_dir . '/postmaster.pid') =~ /(\d+)/;
	$standby->kill9;
	return wait_until('the postmaster is dead', sub { !kill 0, $postmaster });
}

sub end_orphan
{
	my ($what, $standby, @options) = @_;
	clone_fails(run_clone(undef, $standby, $network->options, @options), 'target', qr/processes of a PostgreSQL server still use/,
		"$what: a process is left")
	  if grep { /^--delta/ } @options;
	kill 'KILL', $orphan;
	wait_until("$what: it is gone", sub { !kill 0, $orphan });
	$struck{'an orphan'}++;
	$orphan = undef;
}

my ($standby, $name, $tries) = (undef, '', 0);
start_load();
for my $round (1 .. $rounds)
{
	my $seed = $first_seed + $round - 1;
	srand(hex(substr(md5_hex($seed), 0, 8)));    # of two neighbours rand() gives much the same
	my $is_delta = $seed % 2 == 0;
	my $what = "seed $seed";
	my @history;
	if (!$is_delta || !$standby)
	{
		sql("SELECT pg_drop_replication_slot('$name')") if $standby;
		($standby, $name) = (new_place("round$round"), "round$round");
	}
	if ($is_delta && !-d $standby->data_dir)
	{
		exit_is(run_clone($primary, $standby, '--name', $name, '-N'), 'completed', "$what: the standby to come");
		my $made = sql('SELECT pg_current_wal_insert_lsn()');
		wait_until("$what: the load goes on, so that it is stale",
			sub { sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$made') > 100000") eq 't' });
	}
	my @options = ('--name', $name, '-j', 1 + int(rand(4)), '-r', $is_delta ? '6M' : '20M',
		(rand() < 0.5 ? '-N' : ()), ($is_delta ? '--delta=compare' : ()));
	end_orphan($what, $standby, @options) if $orphan;
	my $is_complete = try_until_complete($what, \@history, $standby, @options);
	$tries += grep { /^ended/ } @history;
	if ($is_complete && !slot_is_there($name))
	{
		# The donor was never told, and has taken the slot back: the standby is made current.
		push @history, 'without its slot';
		exit_is(run_clone($primary, $standby, '--name', $name, '--delta'), 'completed', "$what: with its slot again");
	}
	stop_load();
	my $is_proved = $is_complete && prove_standby($primary, $standby, $what, slot => $name);
	if (!$is_proved || !Test::More->builder->is_passing)
	{
		diag("$what: @options");
		diag("  $_") for @history;
		last;
	}
	note("$what: $_") for @history;
	start_load() if $round < $rounds;
	end_standby($standby);
}
kill 'KILL', $orphan if $orphan;
is_clean_on($primary, 'in the end', $name);
unlike(content_of($primary->logfile), qr/PANIC:|TRAP:|was terminated by signal (?:4|6|7|8|11)\b/, 'the donor has not crashed of itself');
note("$rounds rounds, $tries runs; struck: " . join(', ', map { "$_ $struck{$_}" } sort keys %struck)
	. '; ended with: ' . join(', ', map { "$_: $ended{$_}" } sort keys %ended));

done_testing();
