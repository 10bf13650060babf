# What the donor's configuration sets, in whatever file, makes nothing but a standby of the copy: it is overruled and
# named, or the clone is refused before anything is copied.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary(start => 0);
my $data = $primary->data_dir;
my $conf = content_of("$data/postgresql.conf");
mkdir "$data/more";
append_to_file("$data/more/target.conf", "recovery_target_time = '2001-01-01'\nrecovery_target_action = 'promote'\n");
$primary->append_conf('postgresql.conf', <<CONF);
include 'more/target.conf'
primary_slot_name = 'of_another'
recovery_target_timeline = 'current'
hba_file = '$data/pg_hba.conf'
CONF
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_standby_clone');
$primary->safe_psql('postgres', q(ALTER SYSTEM SET recovery_end_command = 'touch here'));
fill_primary($primary, rows => 1000);
$primary->safe_psql('postgres', q(SELECT pg_create_physical_replication_slot('of_another', true)));
my $kept = q(SELECT active, restart_lsn FROM pg_replication_slots WHERE slot_name = 'of_another');
my $others = $primary->safe_psql('postgres', $kept);

my $named = qr/overruled in postgresql\.auto\.conf: recovery_target_time \(target\.conf\), recovery_target_timeline \(postgresql\.conf\), recovery_end_command \(postgresql\.auto\.conf\), primary_slot_name \(postgresql\.conf\), hba_file/;
my $standby = new_place('standby');
my $check = StandbyClone::Run->new('pg_standby_clone', 'check', '-D', $standby->data_dir, '--no-slot',
	'-h', $primary->host, '-p', $primary->port);
exit_is($check, 'completed', 'check');
like($check->out =~ s/\n\s+/ /gr, $named, 'check: names what will be overruled');
my $run = run_clone($primary, $standby, '-N', '--no-slot');
exit_is($run, 'completed', 'no standby by its files');
like($run->err, $named, 'no standby by its files: named');
my $auto = content_of($standby->data_dir . '/postgresql.auto.conf');
unlike($auto, qr/recovery_end_command/, 'what ALTER SYSTEM set is gone');
is(join(' ', sort $auto =~ /^(\w+) =/mg),
	'hba_file primary_conninfo primary_slot_name recovery_target_time recovery_target_timeline',
	'nothing else is written there');
prove_standby($primary, $standby, 'no standby by its files', slot => '');
is($standby->safe_psql('postgres', 'SHOW hba_file'), $standby->data_dir . '/pg_hba.conf', 'its own pg_hba.conf');
is($primary->safe_psql('postgres', $kept), $others, 'the slot of another standby is where it was');

# Cloned in its turn: what was overruled stays so.
my $second = new_place('second');
exit_is(run_clone($standby, $second, '-N', '--name', 'second'), 'completed', 'a cascade');
prove_standby($standby, $second, 'a cascade', slot => 'second');
$_->stop for $second, $standby;
$primary->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');

my $place = new_place('refused');
sub refused
{
	my ($what, $lines, $like, @options) = @_;
	open my $file, '>', "$data/postgresql.conf" or die;
	print $file "$conf$lines\n";
	close $file;
	my $checked = StandbyClone::Run->new('pg_standby_clone', 'check', '-D', $place->data_dir, @options,
		'-h', $primary->host, '-p', $primary->port);
	exit_is($checked, 'preflight', "$what: check");
	clone_fails(run_clone($primary, $place, '-N', @options), 'preflight', $like, $what);
	ok(!-e $place->data_dir, "$what: nothing was made");
	return;
}

# Nothing can overrule it: pg_ctl -D would start a server in another directory.
refused('data_directory', "data_directory = '$data'", qr/postgresql\.conf sets data_directory = "\Q$data\E"/);

# What this host lacks is found before the copy, where the server is to be started.
my $gone = scratch('gone');
refused('a library', "shared_preload_libraries = 'nowhere_installed'",
	qr/not on this host: nowhere_installed \(shared_preload_libraries\)/, '--start');
refused('an included file', "include '$gone/more.conf'", qr/could not open .*more\.conf/, '--start');
refused('TLS', "ssl = on\nssl_cert_file = '$gone/server.crt'", qr/ssl_cert_file "\Q$gone\E\/server\.crt"/, '--start');
refused('a socket directory', "unix_socket_directories = '$gone/none'", qr/socket directory "\Q$gone\E\/none"/, '--start');
refused('a locale', "lc_messages = 'no_SUCH'", qr/does not start on this host .*lc_messages/, '--start');
refused('a setting', 'no_such_setting = 1', qr/does not start on this host .*no_such_setting/, '--start');
refused('too low', 'max_connections = 39', qr/max_connections = 39 \(the donor has 40\)/, '--start');

# Somebody may put it right before the standby is started by hand.
$run = run_clone($primary, $place, '-N', '--no-slot');
exit_is($run, 'completed', 'without --start');
like($run->err, qr/warning: .*max_connections = 39/, 'without --start: a warning');

# A link stays behind, and the server could not start.
rename "$data/pg_hba.conf", "$gone/pg_hba.conf";
symlink "$gone/pg_hba.conf", "$data/pg_hba.conf";
$place = new_place('linked');
refused('a link', '', qr/does not travel: the standby cannot be started.*\Q$data\E\/pg_hba\.conf/s, '--start');
$primary->stop;
done_testing();
