# picture.pl DIRECTORY: an SVG from what demo/picture recorded there: the frames of two terminals, side by side in
# one wide strip that is moved past a window, so that nothing but CSS is needed to play it.
use strict;
use warnings;

my ($directory) = @ARGV;
sub content_of { my ($name) = @_; open my $file, '<', "$directory/$name" or die "$name: $!\n"; local $/; return scalar <$file> }
my $began = content_of('began') + 0;

# --- the terminal: as much as the program asks of one: carriage return, clear the line, next line ---
my $bytes = content_of('terminal') =~ s/\AScript started[^\n]*\n//r;
my ($time, $at, @lines, @frames) = (0, 0, '');
for my $chunk (split /\n/, content_of('timing'))
{
	my ($delay, $size) = $chunk =~ /([\d.]+) (\d+)$/ or next;
	$time += $delay;
	for my $piece (substr($bytes, $at, $size) =~ /\r\n|\r|\e\[K|[^\r\e]+/g)
	{
		if ($piece eq "\r\n") { push @lines, '' }
		elsif ($piece eq "\r") { }
		elsif ($piece eq "\e[K") { $lines[-1] = '' }
		else { $lines[-1] .= $piece }
	}
	$at += $size;
	push @frames, [ $time, [ map { s/\Q$directory\E/\/srv/gr } @lines ] ];
}

# --- psql, as it was at these times ---
my @views;
for my $path (sort glob "$directory/view.*")
{
	my ($when, @shown) = split /\n/, content_of($path =~ s{.*/}{}r);
	push @views, [ $when - $began, \@shown ] if @shown;
}
my $end = $frames[-1][0];
@frames = grep { length join '', @{ $_->[1] } } @frames;

my ($width, $rows, $line_height) = (860, 12, 18);
my $height = 20 + $rows * $line_height;
sub text
{
	my ($row, $text, $class) = @_;
	$text =~ s/&/&amp;/g, $text =~ s/</&lt;/g;
	return sprintf '<text x="14" y="%d" class="%s" xml:space="preserve">%s</text>', 24 + $row * $line_height, $class, $text;
}

my (@stills, @stops);
my $whole = $end + 4;    # the end is shown a while
for my $frame (@frames)
{
	my ($when, $said) = @$frame;
	my ($view) = reverse grep { $_->[0] <= $when } @views;
	my @rows = (text(0, 'standby$ pg_standby_clone -D /srv/s1 -U replicator --name s1 --max-rate 60M', 'p'));
	my @wrapped = map { length > 100 ? unpack '(A100)*', $_ : $_ } @$said;
	push @rows, map { text(1 + $_, $wrapped[$_], 't') } 0 .. $#wrapped;
	push @rows, text(6, 'primary=# SELECT target, phase, percent, bytes_done, throughput, streams, wal_retained', 'p'),
	  text(7, '          FROM clone_progress \watch', 'p');
	push @rows, map { text(8 + $_, $view->[1][$_], 't') } 0 .. $#{ $view->[1] } if $view;
	push @stills, sprintf '<g transform="translate(%d)">%s</g>', @stills * $width, join '', @rows;
	push @stops, sprintf '%.2f%%{transform:translateX(-%dpx)}', @stops ? 100 * $when / $whole : 0, @stops * $width;
}
# Where nothing moves, one from the middle is seen.
my $still = int(@stops / 2) * $width;
push @stops, sprintf '100%%{transform:translateX(-%dpx)}', (@stops - 1) * $width;
my $style = sprintf '.t,.p{font:12.5px "DejaVu Sans Mono",Menlo,Consolas,monospace;fill:#d6dde6}.p{fill:#8fd18f}'
  . '#s{transform:translateX(-%dpx);animation:k %.1fs steps(1,end) infinite}@keyframes k{%s}', $still, $whole, join '', @stops;
print qq{<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" width="$width" height="$height">\n},
  "<title>A clone, as its terminal and psql on the primary show it</title>\n<style>$style</style>\n",
  qq{<rect width="$width" height="$height" rx="8" fill="#1d232b"/>\n<g id="s">\n}, join("\n", @stills), "\n</g>\n</svg>\n";
