# The unit that is shipped is one that systemd takes, with the paths it was installed with; and an agent
# tells systemd when it is ready.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use IO::Socket::UNIX;
use PostgreSQL::Test::Utils;
use Socket qw(SOCK_DGRAM);
use Test::More;

my ($program) = grep { -x } map { "$_/pg_standby_clone" } split /:/, $ENV{PATH};
my $unit = content_of("$FindBin::Bin/../../systemd/pg_standby_clone-agent\@.service");
like($unit, qr/^Type=notify$/m, 'the unit waits for readiness');
like($unit, qr/^KillMode=process$/m, 'the server outlives the agent');

SKIP:
{
	my $analyze = (grep { -x } map { "$_/systemd-analyze" } split /:/, "$ENV{PATH}:/usr/bin:/bin")[0];
	skip 'systemd-analyze is not installed (package systemd): THE UNIT IS NOT CHECKED', 2 unless $analyze;
	my $directory = scratch('units');
	$unit =~ s/\@BINDIR\@\/pg_standby_clone/$program/;
	my $user = getpwuid($<);
	$unit =~ s/^User=.*$/User=$user/m;
	append_to_file("$directory/pg_standby_clone-agent\@s1.service", $unit);
	my ($out, $err) = ('', '');
	# As a user's unit, whose manager has its files where we may write (a short path: sockets').
	local $ENV{XDG_RUNTIME_DIR} = PostgreSQL::Test::Utils::tempdir_short();
	my $taken = IPC::Run::run([ $analyze, '--user', 'verify', '--man=no', "$directory/pg_standby_clone-agent\@s1.service" ],
		'>', \$out, '2>', \$err);
	ok($taken, 'systemd-analyze verify takes the unit') or diag($out . $err);
	my @complaints = grep { /pg_standby_clone/ } split /\n/, $out . $err;
	is("@complaints", '', 'and complains about nothing in it');
}

# What it tells. A short path: the address of a socket has 107 bytes.
my $place = PostgreSQL::Test::Utils::tempdir_short();
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "$place/notify") or die "socket: $!";
my $primary = new_primary();
local $ENV{NOTIFY_SOCKET} = "$place/notify";
my $agent = start_agent($primary, new_place('standby'));
my $said = '';
$socket->recv($said, 1000);
like($said, qr/^READY=1\nSTATUS=waiting for requests to "clone"/, 'ready');
$agent->signal('TERM');
is($agent->finish, 0, 'the agent ends');
$socket->recv($said, 1000);
like($said, qr/^STOPPING=1/, 'says that it ends');

# Without a primary it is ready, too: the unit must not fail at boot because another host is late.
$primary->stop;
my $early = StandbyClone::Run->new('pg_standby_clone', 'agent', '--name', 'early', '-D', scratch('early'),
	'-h', $primary->host, '-p', $primary->port);
$socket->recv($said, 1000);
like($said, qr/^READY=1\nSTATUS=no primary: /, 'ready without a primary');
wait_until('it says so', sub { $early->err =~ /warning: .*; trying again/ });
$early->signal('TERM');
is($early->finish, 0, 'and ends in order');
done_testing();
