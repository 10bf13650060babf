# Debian keeps a server's configuration outside its data directory, and starts it by a command of its
# own. Both ends are like that here: nothing of the donor's configuration travels.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary(start => 0);
my $etc = scratch('etc_of_primary');
my $data = $primary->data_dir;
for my $file ('pg_hba.conf', 'pg_ident.conf')
{
	rename("$data/$file", "$etc/$file") or die "$file: $!";
}
$primary->append_conf('postgresql.conf',
	"hba_file = '$etc/pg_hba.conf'\nident_file = '$etc/pg_ident.conf'\n");
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_standby_clone');
fill_primary($primary, rows => 2000);

my $standby = new_place('standby');
my $directory = $standby->data_dir;
clone_fails(start_clone($primary, $standby, '--start'), 'preflight',
	qr/configuration lies outside its data directory .*--config-file.*\Q$etc\E\/pg_hba.conf/s,
	'no configuration for the standby');

# As pg_createcluster leaves it, and pg_ctlcluster starts it.
my $own = scratch('etc_of_standby');
copy("$etc/$_", "$own/$_") or die "$_: $!" for ('pg_hba.conf', 'pg_ident.conf');
my $log = scratch('log') . '/standby.log';
my $config = own_config($standby, name => 'etc_of_standby', conf => <<CONF);
data_directory = '$directory'
hba_file = '$own/pg_hba.conf'
ident_file = '$own/pg_ident.conf'
CONF
append_to_file("$own/ctlcluster", <<SH);
#!/bin/sh
exec pg_ctl "\$1" -s -w -D '$directory' -l '$log' -o '-c config_file="$config"'
SH
chmod 0755, "$own/ctlcluster";

my $run = run_clone($primary, $standby, '--start', '--config-file', $config,
	'--start-command', "$own/ctlcluster start", '--stop-command', "$own/ctlcluster stop");
exit_is($run, 'completed', 'started by the command');
ok(-s $log, 'the log is where the command puts it');
is($standby->safe_psql('postgres', 'SHOW hba_file'), "$own/pg_hba.conf", 'with its own configuration');
prove_started($primary, $standby, 'Debian');
$standby->stop;
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));

# What the command says when it fails is what the error says.
my $other = new_place('other');
clone_fails(
	start_clone($primary, $other, '--start', '--start-command',
		'echo "no such cluster: 15 main" >&2; exit 7'),
	'start', qr/did not start \(the start command ended with exit code 7\): no such cluster: 15 main/,
	'failing command');
ok(-e $other->data_dir . '/standby.signal', 'failing command: the standby stays');
$primary->stop;
done_testing();
