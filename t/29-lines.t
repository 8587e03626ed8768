use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use IO::Handle;
use Test::More;
use IO::AIO;

# IO::AIO::Lines: lines of files and pipes, compared with what perl's own readline finds, and files that grow, are rotated
# or cut while they are followed.

plan skip_all => 'the peer has none' if is_peer;
require IO::AIO::Lines;

sub lines_of { IO::AIO::Lines->new(@_) }

# All lines, by callbacks: three are asked for at a time.
sub all {
    my $lines = lines_of(@_);
    my (@line, $error, $ended);
    my $each; $each = sub {
        unless (@_) { $error = $! + 0; $ended++; undef $each; return }
        push @line, $_[0];
        $lines->next($each) if $each;
    };
    $lines->next($each) for 1 .. 3;
    IO::AIO::flush;
    return (\@line, errno_name($error), $ended);
}

sub blocking { my $lines = lines_of(@_); my @line; while (defined(my $line = $lines->next)) { push @line, $line } \@line }

each_engine {
    my $dir = fresh_dir;
    my %content = (
        empty => '', one => "a\n", 'no end' => "a\nb", 'only ends' => "\n\n\n", long => ('x' x 200_000) . "\n" . ('y' x 70_000) . "\nz\n",
        many => join('', map "line $_ " . 'x' x ($_ % 97) . "\n", 1 .. 5000), 'of a piece' => ('x' x 65535) . "\n" . 'y' x 10,
    );
    for my $kind (sort keys %content) {
        my $file = write_file "$dir/file", $content{$kind};
        my @want = $content{$kind} =~ /([^\n]*\n|[^\n]+\z)/g;
        my @chomped = map s/\n\z//r, @want;
        my ($got, $error, $ended) = all($file);
        is_deeply($got, \@chomped, "$kind: by callbacks");
        is("$error $ended", errno_name(0) . ' 3', 'each callback hears of the end');
        is_deeply((all($file, chomp => 0))[0], \@want, "$kind: with separators");
        is_deeply(blocking($file), \@chomped, "$kind: one after the other");
        open my $fh, '<', $file or die "$file: $!";
        is_deeply((all($fh))[0], \@chomped, "$kind: of a handle");
        for my $last (0, 1, 2, 3, 10_000) {
            my $n = $last < @chomped ? $last : @chomped;
            is_deeply((all($file, last => $last))[0], [@chomped[@chomped - $n .. $#chomped]], "$kind: the last $last");
        }
        is_deeply((all($file, offset => 1))[0], [map s/\n\z//r, substr($content{$kind}, 1) =~ /([^\n]*\n|[^\n]+\z)/g], "$kind: from an offset")
            if length $content{$kind};
    }
    my $file = write_file "$dir/file", "a--b-c---d";
    is_deeply((all($file, separator => '--'))[0], ['a', 'b-c', '-d'], 'a separator of two octets');
    is_deeply((all($file, separator => '--', last => 2))[0], ['b-c', '-d'], 'from the end');
    write_file $file, ('x' x 65535) . '--' . 'y';
    is_deeply((all($file, separator => '--'))[0], ['x' x 65535, 'y'], 'between two pieces');
    write_file $file, "\xc3\xa4\n\xc3\xb6";
    is_deeply((all($file, encoding => 'UTF-8'))[0], ["\xe4", "\xf6"], 'with an encoding');

    # errors
    is_deeply([all("$dir/none")], [[], 'ENOENT', 3], 'no such file');
    is_deeply([all($dir)], [[], 'EISDIR', 3], 'a directory');
    write_file $file, "short\n" . 'x' x 100 . "\nshort\n";
    is_deeply([all($file, max => 50)], [['short'], 'EMSGSIZE', 3], 'a line too long');
    croaks { IO::AIO::Lines->new('x', nonsense => 1) } qr/no such option: nonsense/, 'an option that there is not';
    croaks { IO::AIO::Lines->new('x', separator => '') } qr/separator/, 'no separator';
    croaks { lines_of('x')->next(1) } qr/callback/, 'no callback';

    # what waits on a pipe would wait in the call of the engine sync
    if (engine ne 'sync') {
        pipe my $r, my $w or die "pipe: $!";
        $_->blocking(0) for $r, $w;
        my $lines = lines_of($r);
        my @got;
        $lines->next(sub { push @got, $_[0] });
        syswrite $w, "one\ntwo\nthr";
        IO::AIO::flush;
        is_deeply(\@got, ['one'], 'a line of a pipe that does not block');
        1 while syswrite $w, 'x' x 4096;
        is(IO::AIO::nreqs(), 0, 'when nobody wants a line nothing is read: the writer is held up');
        $lines->next(sub { push @got, $_[0] });
        IO::AIO::flush;
        is($got[1], 'two', 'the next one is there already');
        $lines->next(sub { push @got, 'called' });
        $lines->close;
        IO::AIO::flush;
        is("@got", 'one two', 'after close nobody is called');
        close $w;
    }
    # nothing runs in the call
    write_file $file, "a\nb\n";
    my ($lines, @got) = lines_of($file);
    $lines->next(sub { push @got, @_ });
    IO::AIO::flush;
    $lines->next(sub { push @got, @_ });
    is("@got", 'a', 'a line that is there comes by poll, too');
    IO::AIO::flush;
    is("@got", 'a b', 'then');
    $lines->next(sub { die "mine\n" }) for 1 .. 2;
    my $died = 0;
    $died += !eval { IO::AIO::flush; 1 } for 1 .. 3;
    is($died, 2, 'callbacks that die do so in poll, each of them');

    # follow
    my $log = write_file "$dir/log", "old\n";
    my $add = sub { open my $fh, '>>', $log or die "$log: $!"; print $fh @_; close $fh };
    my $follow = lines_of($log, last => 0, follow => 0.01);
    @got = ();
    my $want = sub { $follow->next(sub { push @got, @_ }) };
    my $until = sub { my ($n) = @_; IO::AIO::poll() until @got >= $n };
    if (engine eq 'sync') {    # it would wait in the call
        $add->("new\n");
        $follow = lines_of($log, follow => 0.01);
        $want->() for 1 .. 2;
        $until->(2);
        is("@got", 'old new', 'follow: what is there');
        return;
    }
    $want->() for 1 .. 7;
    ok((wait_for { IO::AIO::poll_cb(); ($follow->{at} // 0) == length "old\n" }), 'it begins behind what there is');
    $add->("one\ntw");
    $until->(1);
    $add->("o\n");
    $until->(2);
    is("@got", 'one two', 'follow: lines, when they are whole');
    rename $log, "$log.1" or die "rename: $!";
    open my $old, '>>', "$log.1" or die "log.1: $!";
    syswrite $old, "late\nrest";
    write_file $log, "fresh\n";
    $until->(5);
    is("@got[2 .. 4]", 'late rest fresh', 'rotated: the old one to its end, then the new one');
    unlink $log;
    write_file "$dir/other", "again\n";
    rename "$dir/other", $log or die "rename: $!";
    $until->(6);
    is($got[5], 'again', 'removed and made again');
    wait_for { IO::AIO::poll_cb(); $follow->{at} == 6 };
    truncate $log, 0;
    wait_for { IO::AIO::poll_cb(); $follow->{at} == 0 };
    $add->("cut\n");
    $until->(7);
    is($got[6], 'cut', 'cut, and written to again');
    $want->();
  SKIP: {
        skip 'no inotify', 1 if !IO::AIO::_notify_open();
        wait_for { IO::AIO::poll_cb(); $follow->{watched} && IO::AIO::nreqs() == 1 };
        IO::AIO::max_parallel(1);
        my $other = 0;
        IO::AIO::aio_stat $dir, sub { $other++ };
        IO::AIO::poll() until $other;
        is(scalar @got, 7, 'what waits takes no worker');
        reset_limits;
    }
    $follow->close;
    IO::AIO::flush;
    is(scalar @got, 7, 'close ends it');
    my $early = lines_of("$dir/later", follow => 0.01);
    @got = ();
    $early->next(sub { push @got, @_ });
    IO::AIO::poll() for 1 .. 4;
    write_file "$dir/later", "came\n";
    $until->(1);
    is("@got", 'came', 'a file that is not there yet');

  SKIP: {
        skip 'needs Future', 3 unless eval { require Future::AIO; 1 };
        write_file $file, "a\nb";
        my $lines = lines_of($file);
        is_deeply([map $lines->future->get, 1 .. 3], ['a', 'b'], 'futures');
        my $none = lines_of("$dir/none")->future;
        is(($none->await->failure)[1], 'lines', 'a failure');
        like($none->failure, qr/^lines: No such file/, 'and its text');
    }
};

done;
