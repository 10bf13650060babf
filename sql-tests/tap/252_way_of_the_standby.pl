# primary_conninfo is what will work for the standby's server: it asks the host with its slot, finds its files from
# any directory, holds no secret; and a password that it will not have is said before the copy.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use Cwd qw(getcwd);
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary(conf => "listen_addresses = '127.0.0.1'\npassword_encryption = 'scram-sha-256'\n");
fill_primary($primary, rows => 1000);
my $port = $primary->port;

# Of two hosts the first has no slot, and is there again when the standby starts.
my $other = new_place('other');
exit_is(run_clone($primary, $other, '-N', '--name', 'other'), 'completed', 'another standby');
my ($hosts, $ports) = (join(',', $other->host, $primary->host), join(',', $other->port, $port));
my $standby = new_place('standby');
exit_is(run_clone(undef, $standby, '-N', '-d', "host=$hosts port=$ports"), 'completed', 'by a list of hosts');
prove_standby($primary, $other, 'another standby', slot => 'other');
prove_standby($primary, $standby, 'by a list of hosts');
unlike(slurp_file($standby->logfile), qr/slot "clone" does not exist/, 'by a list of hosts: no other was asked');

# Of a standby, by the same list: that one, which alone has the slot.
my $third = new_place('third');
exit_is(run_clone(undef, $third, '-N', '--name', 'third', '-d', "host=$hosts port=$ports target_session_attrs=standby"),
	'completed', 'of a standby');
unlike(content_of($third->data_dir . '/postgresql.auto.conf'), qr/target_session_attrs/, 'of a standby: whatever it becomes');
prove_standby($other, $third, 'of a standby', slot => 'third');
$_->stop for $third, $standby, $other;

# A password.
open my $hba, '>', $primary->data_dir . '/pg_hba.conf' or die;
print $hba "local all all trust\nlocal replication all trust\nhost all,replication replicator 127.0.0.1/32 scram-sha-256\n";
close $hba;
$primary->reload;
$primary->safe_psql('postgres', "CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'very-secret'");
my $way = "host=127.0.0.1 port=$port user=replicator";
my $place = new_place('place');
{
	local $ENV{PGPASSWORD} = 'very-secret';
	my $check = StandbyClone::Run->new('pg_standby_clone', 'check', '-D', $place->data_dir, '-d', $way, '--name', 'p');
	exit_is($check, 'completed', 'PGPASSWORD: check');
	like($check->out, qr/^standby_connection\s+warning\s+the standby would not be let in.*--write-password/ms, 'PGPASSWORD: check says so');
	clone_fails(run_clone(undef, $place, '-d', $way, '-N', '--start'), 'preflight',
		qr/would not be let in by its primary_conninfo.*--write-password/s, 'PGPASSWORD, with --start');
	ok(!-e $place->data_dir, 'PGPASSWORD, with --start: nothing was made');
	my $run = run_clone(undef, $place, '-d', $way, '-N', '--no-slot');
	exit_is($run, 'completed', 'PGPASSWORD, without --start');
	like($run->err, qr/warning: the standby would not be let in/, 'PGPASSWORD, without --start: a warning');
	unlike(content_of($place->data_dir . '/postgresql.auto.conf'), qr/secret/, 'PGPASSWORD: is written nowhere');

	# By a command that starts it here and now: nothing of this environment makes it stream.
	my $deaf = new_place('deaf');
	my $config = own_config($deaf);
	$run = run_clone(undef, $deaf, '-d', $way, '-N', '--start', '--timeout', 5, '--start-command',
		'pg_ctl -w -D ' . $deaf->data_dir . ' -l ' . $deaf->logfile . " -o '-c config_file=$config' start");
	exit_is($run, 'start', 'PGPASSWORD, with a command');
	adopt($deaf);
	$deaf->stop;
}

# A service may hold one, too.
my $services = scratch('services') . '/service';
append_to_file($services, "[donor]\nhost=127.0.0.1\nport=$port\nuser=replicator\npassword=very-secret\n");
{
	local $ENV{PGSERVICEFILE} = $services;
	local $ENV{PGSERVICE} = 'donor';
	my $check = StandbyClone::Run->new('pg_standby_clone', 'check', '-D', new_place('served')->data_dir, '--name', 'p');
	exit_is($check, 'completed', 'PGSERVICE: check');
	like($check->out, qr/^standby_connection\s+warning/m, 'PGSERVICE: its password is not for the server');
}

# Files, as they are named in this directory.
my $home = scratch('home');
my $here = getcwd();
append_to_file("$home/passwords", "*:*:*:replicator:very-secret\n");
chmod 0600, "$home/passwords";
my $filed = new_place('filed');
chdir $home;
my $run = run_clone(undef, $filed, '-d', "$way passfile=passwords", '-N', '--name', 'filed');
chdir $here;
exit_is($run, 'completed', 'a password file');
unlike($run->err, qr/would not be let in/, 'a password file: no warning');
prove_standby($primary, $filed, 'a password file', slot => 'filed');
$filed->stop;
$primary->stop;
done_testing();
