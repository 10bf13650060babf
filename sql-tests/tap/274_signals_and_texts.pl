# A signal that was ignored at the start stays ignored; the message names the one that was not; one that comes twice
# at once, from the terminal and from a wrapper, is one. Bytes that no encoding knows reach the donor readable.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
my @to = ('-h', $primary->host, '-p', $primary->port, '-N', '--no-slot', '-Z', 'none', '-w');

my $place = new_place('nohup');
my $run = StandbyClone::Run->new('sh', '-c', q(trap '' HUP INT; exec pg_standby_clone "$@"), 'sh',
	'-D', $place->data_dir, '--name', 'clone', '-r', '3M', @to);
wait_for_copying($primary, $run);
$run->signal($_) for qw(HUP INT);
my $done = $primary->safe_psql('postgres', 'SELECT bytes_done FROM clone_progress');
wait_for_copying($primary, $run, $done + 1_000_000);
ok($run->is_running, 'ignored at the start: ignored now');
$run->signal('TERM');
clone_fails($run, 'cancelled', qr/stopped by SIGTERM/, 'another signal');
like($primary->safe_psql('postgres', q(SELECT error FROM clone_status() ORDER BY id DESC LIMIT 1)),
	qr/stopped by SIGTERM/, 'another signal: the donor knows which');

$run = start_clone($primary, new_place('twice'), '-N', '--no-slot', '-r', '3M');
wait_for_copying($primary, $run);
$run->signal('INT') for 1, 2;
clone_fails($run, 'cancelled', qr/stopped by SIGINT\n.*run the same command again to go on/s, 'one signal that comes twice');

# The donor's encoding knows no such byte.
my $directory = PostgreSQL::Test::Utils::tempdir_short();    # what the donor keeps of a path is not long
my %odd = (utf8 => "$directory/\xe6\x97\xa5", none => "$directory/s\xff");
for my $name (sort keys %odd)
{
	exit_is(run_clone($primary, $odd{$name}, '-N', '--name', $name), 'completed', "a path, $name");
}
like($primary->safe_psql('postgres', q(SELECT destination FROM clone_status() WHERE target = 'none')),
	qr/s\\xff$/, 'a path: readable');
like($primary->safe_psql('postgres', q(SELECT destination FROM clone_status() WHERE target = 'utf8')),
	qr/\xe6\x97\xa5$/, 'a path: as it is where the donor knows it');

# In the reason, at the place where it is cut as well.
for my $letters (100, 101)
{
	my $long = "$directory/$letters/" . ("\xc3\xbc" x 100 . '/') x 4 . 'x' x ($letters - 100) . "s";
	system('mkdir', '-p', $long =~ s{/[^/]*$}{}r) == 0 or die 'mkdir';
	my $file = "\xc3\xbc" x 100;
	append_to_file($primary->data_dir . "/$file", 'x');
	$run = start_clone($primary, $long, '-N', '--no-slot', '-r', '3M', '-j', '1');
	wait_for_copying($primary, $run);
	mkdir "$long/$file" or die "mkdir: $!";
	isnt($run->finish, 0, "a reason of $letters: it fails");
	wait_until("a reason of $letters: the donor knows", sub { $primary->safe_psql('postgres',
		q(SELECT state = 'failed' AND length(error) > 100 FROM clone_status() ORDER BY id DESC LIMIT 1)) eq 't' });
	unlink $primary->data_dir . "/$file";
}

done_testing();
