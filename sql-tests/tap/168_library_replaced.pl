# The library is replaced under a running server, as a package's update does it: by another file of the same name. Of
# the same build it goes on; another build knows nothing of the clones of the old one, and no process reads what a
# process of another build has written.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Wire;

# A library of this test's own: others may run beside it.
my ($installed) = run_command([ 'pg_config', '--pkglibdir' ]);
my $built = content_of("$installed/pg_standby_clone.so");
my $directory = scratch('library');
my $library = "$directory/pg_standby_clone.so";

sub replace_library
{
	my ($content) = @_;
	open my $file, '>:raw', "$library.new" or die "$library.new: $!";
	print $file $content or die "$library.new: $!";
	close $file or die "$library.new: $!";
	chmod 0755, "$library.new";
	rename "$library.new", $library or die "$library: $!";
}
replace_library($built);

my $primary = new_primary(no_extension => 1, conf => "dynamic_library_path = '$directory:\$libdir'\n");
sub value { return $primary->safe_psql('postgres', $_[0]) }
value('CREATE EXTENSION pg_standby_clone');
value("UPDATE pg_proc SET probin = '$library' WHERE probin = '\$libdir/pg_standby_clone'");
fill_primary($primary, rows => 3000);

# Of an old and a new session one is left.
sub one_clone_is_left
{
	return value(q(SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'standby clone worker') = 1
		AND (SELECT count(*) FROM pg_replication_slots) = 1)) eq 't';
}

# --- the same build ---------------------------------------------------------------------------
my $place = new_place('updated');
my $run = start_clone($primary, $place, '-N', '-j', '2', '-r', '2M', '--no-slot');
wait_for_copying($primary, $run);
my $old = (stat $library)[1];
replace_library($built);
isnt((stat $library)[1], $old, 'the library is another file');
# One stream is made again: its backend loads the new file, beside those of the old one.
value('SELECT pg_terminate_backend(pid) FROM clone_streams WHERE stream = 1');
wait_until('it goes on', sub { $run->err =~ /all connections to the donor are there again/ || !$run->is_running });
value('SELECT set_clone_rate(id, NULL) FROM clone_progress');
exit_is($run, 'completed', 'a new library file');
command_ok([ 'pg_verifybackup', $place->data_dir ], 'a new library file: pg_verifybackup is content');

# --- another build -------------------------------------------------------------------------
# Its processes know nothing of the clone, and read none of the memory of the old one's.
my $other = $built;
is($other =~ s/\0build \K[0-9a-f]{16}(?=\0)/0123456789abcdef/g, 1, 'a library of another build');
my $postmaster = (split /\n/, content_of($primary->data_dir . '/postmaster.pid'))[0];
$place = new_place('upgraded');
$run = start_clone($primary, $place, '-j', '2', '-r', '2M');
wait_for_copying($primary, $run);
my ($stream, $id) = split /\|/, value('SELECT pid, id FROM clone_streams WHERE stream = 1');
replace_library($other);
value("SELECT pg_terminate_backend($stream)");
wait_until('another session has begun', sub {
	value("SELECT count(*) FROM clone_progress WHERE id > $id AND phase = 'copying'") eq '1' || !$run->is_running });
ok(wait_until('the earlier session ends', \&one_clone_is_left), 'another build: the earlier session has ended');
value('SELECT set_clone_rate(id, NULL) FROM clone_progress');
exit_is($run, 'completed', 'another build');
like($run->err, qr/warning: the donor does not know this clone any more: .*its library was replaced.*; going on with another session/,
	'another build: says so');
is(value("SELECT string_agg(state, ' ' ORDER BY id) FROM clone_status() WHERE id >= $id"), 'failed completed',
	'another build: both are told of');
is((split /\n/, content_of($primary->data_dir . '/postmaster.pid'))[0], $postmaster, 'another build: the server lives');
unlike(content_of($primary->logfile), qr/terminating any other active server processes/, 'another build: none of it crashed');
is_clean_on($primary, 'another build', 'clone');
prove_standby($primary, $place, 'another build');
$place->stop;
value(q(SELECT pg_drop_replication_slot('clone')));

# Where no connection has to be made again nobody needs the new library. Who has it takes such a clone for
# lost, until its end is written.
$place = new_place('undisturbed');
$run = start_clone($primary, $place, '-N', '-j', '2', '-r', '6M', '--no-slot');
wait_for_copying($primary, $run);
$id = value('SELECT id FROM clone_progress');
replace_library($built);
is(value("SELECT state, error FROM clone_status($id)"),
	'failed|the server was restarted or crashed, or its library was replaced, during the clone',
	'another build, no connection broken: not seen from there');
# This writes it down.
value(q(SELECT cancel_standby_clone(request_standby_clone('nobody'))));
exit_is($run, 'completed', 'another build, no connection broken');
is(value("SELECT state, error FROM clone_status($id)"), 'completed|', 'another build, no connection broken: its end is told');
replace_library($other);

# A run that shall not wait ends, and the same command completes it.
$place = new_place('upgraded_at_once');
$run = start_clone($primary, $place, '-N', '-j', '2', '-r', '2M', '--no-slot', '--reconnect-timeout', '0');
wait_for_copying($primary, $run);
$stream = value('SELECT pid FROM clone_streams WHERE stream = 1');
replace_library($built);
value("SELECT pg_terminate_backend($stream)");
like($run->finish, qr/^9$/, 'another build, no patience: the clone ends') or diag($run->err);
is_not_startable($place->data_dir, 'another build, no patience');
is_clean_on($primary, 'another build, no patience');
exit_is(run_clone($primary, $place, '-N', '--no-slot'), 'completed', 'another build, then the same command');
command_ok([ 'pg_verifybackup', $place->data_dir ], 'another build, then the same command: pg_verifybackup is content');

# Between the two: a backend that has one build asks for a worker, which loads the other.
my $client = Wire->greet($primary, user => scalar getpwuid($<));
ok(defined $client->frame('welcome'), 'a backend of one build waits for Begin');
replace_library($other);
my $seen = -s $primary->logfile;
$client->request(Wire::begin(target => 'between'));
ok(wait_until('the worker refuses', sub {
	substr(content_of($primary->logfile), $seen) =~ /ERROR:  the pg_standby_clone library was replaced while it was in use/ }),
	'a worker of another build: the log says why');
replace_library($built);
ok(wait_until('the clone has ended', sub {
	value(q(SELECT state || ' ' || error FROM clone_status() WHERE target = 'between')) =~ /^failed the clone worker ended before/ }),
	'a worker of another build: the clone fails');
$client->close;
is_clean_on($primary, 'a worker of another build');

done_testing();
