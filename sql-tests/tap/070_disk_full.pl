# The standby's disk is full: found before the copy where it can be, in mid-copy where not; one
# message with the file, its own exit code, nothing startable, and the donor is clean.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

# A small file system: given by the caller who may mount one, or made in a namespace of our own.
my $small = $ENV{SMALL_FILE_SYSTEM};
my @inside;
if (!$small)
{
	$small = scratch('small');
	@inside = ('unshare', '--user', '--map-root-user', '--mount', 'sh', '-c',
		'mount -t tmpfs -o size=64m,mode=777 none "$0" && exec "$@"', $small);
	system("unshare --user --map-root-user --mount true 2>/dev/null") == 0
	  or plan skip_all => 'no small file system can be mounted here (neither SMALL_FILE_SYSTEM nor user namespaces)';
}
my $primary = new_primary();
fill_primary($primary, rows => 350000);

sub clone_to
{
	my ($directory, @options) = @_;
	return StandbyClone::Run->new(@inside, 'pg_standby_clone', '-D', $directory, '-w', '-h', $primary->host,
		'-p', $primary->port, '--name', 'clone', @options);
}

# What the list says already does not fit.
my $run = clone_to("$small/data");
clone_fails($run, 'disk', qr/not enough|No space|room/i, 'too small');
like($run->err, qr/\Q$small\E/, 'too small: names the place');
is_clean_on($primary, 'too small');
ok(!-e "$small/data", 'too small: nothing is left');

# What fits at first fills up: WAL comes while files are copied.
SKIP:
{
	skip 'needs SMALL_FILE_SYSTEM, seen from here too', 8 if @inside;
	my $little = new_primary(name => 'little');
	my $filler = "$small/filler";
	$run = StandbyClone::Run->new('pg_standby_clone', '-D', "$small/data", '-w', '-h', $little->host, '-p',
		$little->port, '--name', 'clone', '-r', '4M');
	wait_for_copying($little, $run);
	system("dd if=/dev/zero of='$filler' bs=1M 2>/dev/null");
	clone_fails($run, 'disk', qr/could not .*\Q$small\E.*: No space left on device/, 'filled in mid-copy');
	is_clean_on($little, 'filled in mid-copy');
	like($run->err, qr/is kept, .*run the same command again/, 'filled in mid-copy: says that it can go on');
	is_not_startable("$small/data", 'filled in mid-copy');
	unlink $filler;
	is($little->safe_psql('postgres', "SELECT error ~ 'No space left' FROM clone_status() LIMIT 1"), 't',
		'filled in mid-copy: the donor knows why');
	$run = StandbyClone::Run->new('pg_standby_clone', '-D', "$small/data", '-w', '-h', $little->host, '-p',
		$little->port, '--name', 'clone');
	exit_is($run, 'completed', 'with room again, the same command');
	command_ok([ 'pg_verifybackup', "$small/data" ], 'with room again: pg_verifybackup is content');
}

done_testing();
