# What lies in a data directory beside, or in the place of, what the server makes itself. Links in the place of
# what is the server's own are followed; where they lead nowhere, or the server cannot read what is its own, nothing is
# copied. What is not the server's and cannot be read is left behind with a warning, snapshots and lost+found without;
# a tablespace below the data directory travels once (traps 32, 36 and 100).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Path qw(make_path);
use StandbyClone;

my $primary = new_primary();
fill_primary($primary, rows => 3000);
my $data = $primary->data_dir;
my $elsewhere = scratch('elsewhere');
sub value { return $primary->safe_psql('postgres', $_[0]) }
$primary->safe_psql('postgres', 'CREATE DATABASE other');
$primary->safe_psql('other', 'CREATE TABLE t AS SELECT generate_series(1, 5000) n');
my $database = 'base/' . value("SELECT oid FROM pg_database WHERE datname = 'other'");
my $segment = value("SELECT pg_relation_filepath('plain')");

# Moves part of the data directory to another place, and links it.
sub move_away
{
	my ($path) = @_;
	my $place = "$elsewhere/" . $path =~ s{/}{_}gr;
	rename "$data/$path", $place or die "$path: $!";
	symlink $place, "$data/$path" or die "$path: $!";
	return $place;
}

$primary->stop;
my $place_of_database = move_away($database);
move_away($_) for $segment, qw(pg_xact pg_multixact/offsets pg_twophase pg_logical pg_stat_tmp pg_wal global PG_VERSION);
$primary->start;
# What is known to pg_xact alone.
value('CREATE TABLE written (n int); CREATE TABLE undone (n int)');
value('INSERT INTO written SELECT generate_series(1, 1000)');
value('BEGIN; INSERT INTO undone SELECT generate_series(1, 1000); ROLLBACK; CHECKPOINT');

# Of others, behind a link that is followed and elsewhere.
append_to_file("$place_of_database/notes", 'mine');
append_to_file("$data/postgresql.conf.bak", 'root');
append_to_file("$data/base/5/notes.bak", 'root');
make_path("$data/closed", "$data/base/lost+found", "$data/lost+found", "$data/.snapshot/hourly.0/base", "$data/.zfs/snapshot");
append_to_file("$data/.snapshot/hourly.0/base/1", 'old');
my @closed = ("$data/postgresql.conf.bak", "$data/base/5/notes.bak", "$data/closed", "$data/base/lost+found", "$data/lost+found");
chmod 0, @closed;
my $inside = "$data/tablespaces/deep";
make_path($inside);
value("CREATE TABLESPACE inside LOCATION '$inside'");
value('CREATE TABLE twice TABLESPACE inside AS SELECT * FROM plain');

my $place = new_place('odd');
my $run = run_clone($primary, $place, '-N', '--name', 'odd', '-T', "$inside=" . scratch('space'));
exit_is($run, 'completed', 'links and strangers');
prove_standby($primary, $place, 'links and strangers', slot => 'odd');
is($place->safe_psql('postgres', 'SELECT (SELECT count(*) FROM written), (SELECT count(*) FROM undone)'), '1000|0',
	'what only the transactions\' states know');
is($place->safe_psql('other', 'SELECT count(*) FROM t'), '5000', 'a database behind a link');
$place->stop;
my $clone = $place->data_dir;
ok(-d "$clone/$_" && !-l "$clone/$_", "$_ is a directory") for $database, qw(pg_xact pg_twophase pg_wal global);
ok(-f "$clone/$segment" && !-l "$clone/$segment", 'a segment is a file');
for my $stranger ([ "$database/notes", 'lies behind a link' ], map { [ $_, 'cannot be read by the server' ] }
	qw(postgresql.conf.bak base/5/notes.bak closed))
{
	my ($path, $why) = @$stranger;
	ok(!-e "$clone/$path", "$path stays behind");
	like($run->err, qr/warning: "\Q$path\E" $why and does not travel\n/, "$path: a warning says so");
}
ok(!-e "$clone/$_", "$_ stays behind") for qw(lost+found base/lost+found .snapshot .zfs tablespaces/deep);
unlike($run->err, qr/lost\+found|snapshot/, 'file systems\' own are not worth a word');
chmod 0700, @closed;

# --- what is the server's own and cannot come ---------------------------------------------
# Before anything is copied.
my $refused = 0;
sub is_refused
{
	my ($path, $why, $what) = @_;
	my $place = new_place("refused" . ++$refused);
	my $named = qr/"\Q$path\E" of the data directory $why: a clone without it would be corrupt/;
	my ($code, $out, $err) = $primary->psql('postgres', 'SELECT * FROM check_standby_clone()');
	like($err, $named, "$what: named by the donor's checks");
	my $run = run_clone($primary, $place, '-N', '--no-slot', '-T', "$inside=" . scratch("space$refused"));
	isnt($run->finish, 0, "$what: refused");
	like($run->err, $named, "$what: the clone says why");
	ok(!-e $place->data_dir . '/base/5/1259', "$what: nothing was copied");
	return;
}
$primary->safe_psql('postgres', 'CHECKPOINT');    # it shall have nothing to write where it cannot
my $closed = "$database/" . $primary->safe_psql('other', q(SELECT pg_relation_filenode('t')));
chmod 0, "$data/$closed";
is_refused($closed, 'cannot be read by the server', 'a segment that cannot be read');
chmod 0600, "$data/$closed";
rename "$elsewhere/pg_twophase", "$elsewhere/gone";
is_refused('pg_twophase', 'is a link that leads nowhere', 'a link that leads nowhere');
rename "$elsewhere/gone", "$elsewhere/pg_twophase";
my $link = 'pg_tblspc/' . value("SELECT oid FROM pg_tablespace WHERE spcname = 'inside'");
rename $inside, "$inside.gone";
is_refused($link, 'leads to a place without a directory PG_\w+', 'a tablespace that is not there');
make_path($inside);
is_refused($link, 'leads to a place without a directory PG_\w+', 'a tablespace that is not mounted');
rmdir $inside;
rename "$inside.gone", $inside;
is_clean_on($primary, 'refused', 'odd');

done_testing();
