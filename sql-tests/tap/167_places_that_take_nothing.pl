# Places that take nothing: read-only file systems and directories without write permission, for DIR, a tablespace and
# the WAL directory; file systems of a tablespace and of the WAL that fill up in mid-copy. One error that names the place, its exit code, nothing startable, a clean donor, and with a place that takes it
# the same command completes the clone.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary, rows => 3000);
sub value { return $primary->safe_psql('postgres', $_[0]) }
my $home = scratch('home');
value("CREATE TABLESPACE space LOCATION '$home'");
value("CREATE TABLE in_space TABLESPACE space AS SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 40000) n");

# --- without permission -------------------------------------------------------------------
SKIP:
{
	skip 'root may write everywhere', 1 if $< == 0;
	my $closed = scratch('closed');
	mkdir "$closed/empty";
	my $open = scratch('open');
	# [what, the place named, DIR, tablespace, WAL]
	for my $case (
		[ 'DIR', "$closed/empty", "$closed/empty", "$open/space", "$open/wal" ],
		[ 'a tablespace', "$closed/space", "$open/data", "$closed/space", "$open/wal" ],
		[ 'the WAL directory', "$closed/wal", "$open/data", "$open/space", "$closed/wal" ])
	{
		my ($what, $place, $data, $space, $wal) = @$case;
		chmod 0500, $closed, "$closed/empty";
		my @command = ($primary, $data, '-N', '--no-slot', '-T', "$home=$space", '--waldir', $wal);
		clone_fails(run_clone(@command), 'target', qr/error: [^\n]*"\Q$place\E[^\n]*: Permission denied\n.*operating system user/,
			"$what without permission");
		is_clean_on($primary, "$what without permission");
		is(join(' ', glob "$open/*"), '', "$what without permission: nothing is left");
		chmod 0700, $closed, "$closed/empty";
		exit_is(run_clone(@command), 'completed', "$what with permission");
		command_ok([ 'pg_verifybackup', $data ], "$what with permission: pg_verifybackup is content");
		system('rm', '-rf', $data, $space, $wal);
		mkdir "$closed/empty";
	}
}

# --- file systems of our own ----------------------------------------------------------------
# In a namespace that somebody keeps open, and in which programs are run.
my ($fixed, $small, $ready) = (scratch('fixed'), scratch('small'), scratch('ready') . '/ready');
my $keeper = StandbyClone::Run->new('unshare', '--user', '--map-root-user', '--mount', 'sh', '-c',
	'mount -t tmpfs -o size=8m,mode=777 none "$0" && mkdir "$0/empty" && mount -o remount,bind,ro "$0" &&'
	  . ' mount -t tmpfs -o size=96m,mode=777 none "$1" && touch "$2" && exec sleep 600', $fixed, $small, $ready);
wait_until('the file systems are there', sub { -e $ready || !$keeper->is_running });
SKIP:
{
	skip 'no file system can be mounted here (user namespaces)', 1 if !-e $ready;
	my @inside = ('nsenter', '--preserve-credentials', '--user', '--mount', '--target', $keeper->pid);
	my @command = (@inside, 'pg_standby_clone', '-w', '-h', $primary->host, '-p', $primary->port, '-U',
		scalar getpwuid($<), '--name', 'clone', '-N', '--no-slot', '-j', '2');
	sub inside { return system(@inside, @_) == 0 }
	sub is_there { return inside('test', '-e', $_[0]) }
	my $open = scratch('open');

	for my $case (
		[ 'DIR', "$fixed/empty", "$open/space", "$open/wal" ],
		[ 'a tablespace', "$open/data", "$fixed/space", "$open/wal" ],
		[ 'the WAL directory', "$open/data", "$open/space", "$fixed/wal" ])
	{
		my ($what, $data, $space, $wal) = @$case;
		my $run = StandbyClone::Run::finished(@command, '-D', $data, '-T', "$home=$space", '--waldir', $wal);
		clone_fails($run, 'target', qr/error: [^\n]*"\Q$fixed\E[^\n]*: Read-only file system\n/, "$what, read-only");
		is_clean_on($primary, "$what, read-only");
		is(join(' ', glob "$open/*"), '', "$what, read-only: nothing is left");
	}

	# In mid-copy.
	for my $case (
		[ 'a tablespace fills up', "$small/space", "$open/wal" ],
		[ 'the WAL directory fills up', "$open/space", "$small/wal" ])
	{
		my ($what, $space, $wal) = @$case;
		my @to = ('-D', "$open/data", '-T', "$home=$space", '--waldir', $wal);
		my $run = StandbyClone::Run->new(@command, @to, '-r', '4M');
		wait_for_copying($primary, $run);
		inside('sh', '-c', 'dd if=/dev/zero of="$0/filler" bs=64k 2>/dev/null', $small);
		# More WAL than a segment has room for.
		if ($wal =~ /^\Q$small\E/)
		{
			value("CREATE TABLE more AS SELECT n, repeat(md5(n::text), 40) FROM generate_series(1, 14000) n; DROP TABLE more")
			  for 1 .. 2;
		}
		clone_fails($run, 'disk', qr/error: could not [^\n]*"\Q$open\E\/data\/pg_(?:tblspc|wal)\/[^\n]*: No space left on device\n/, $what);
		like($run->err, qr/hint: Make room on the file system of "\Q$small\E\//, "$what: names the place behind the link");
		is(scalar(() = $run->err =~ /error: /g), 1, "$what: one error");
		is_clean_on($primary, $what);
		is_not_startable("$open/data", $what);
		is(value("SELECT state || ' ' || (error ~ 'No space left on device') FROM clone_status() LIMIT 1"), 'failed true', "$what: the donor knows why");
		ok(inside('rm', "$small/filler"), "$what: there is room again");
		$run = StandbyClone::Run::finished(@command, @to);
		exit_is($run, 'completed', "$what, then well again");
		ok(inside('pg_verifybackup', "$open/data"), "$what, then well again: pg_verifybackup is content");
		ok(is_there("$space/PG_" . major_of($primary) . '_' . (glob("$home/PG_*"))[0] =~ s/.*_//r),
			"$what, then well again: the tablespace is there");
		inside('rm', '-rf', "$open/data", $space, $wal);
	}
	$keeper->signal('KILL');
}

done_testing();
