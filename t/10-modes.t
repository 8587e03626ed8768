use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Fcntl qw(:DEFAULT);
use Test::More;
use IO::AIO;

# aio_open with perl's own modes, and constants that are imported by tags.

plan skip_all => 'the peer has none' if is_peer;

{ package Flags;     IO::AIO->import(':flags') }
{ package Both;      IO::AIO->import(qw(:modes aio_stat)) }
{ package All;       IO::AIO->import(':constants', ':DEFAULT') }
{ package AsEver;    IO::AIO->import }
is(Flags->can($_) && &{ Flags->can($_) }(), do { no strict 'refs'; &{"IO::AIO::$_"}() }, ":flags has $_")
    for qw(O_RDWR O_CREAT SEEK_END AT_SYMLINK_FOLLOW RENAME_NOREPLACE FALLOC_FL_KEEP_SIZE READDIR_DENTS SPEW_ATOMIC MS_SYNC);
ok(!Flags->can($_), "but not $_") for qw(S_IFREG aio_open aio_mkpath import);
ok(Both->can($_), "names beside a tag: $_") for qw(S_IFREG DT_DIR aio_stat);
ok(!Both->can($_), "and no others: $_") for qw(O_RDWR aio_open);
ok(All->can($_), "tags beside each other: $_") for qw(O_RDWR S_IFREG PROT_READ aio_open);
ok(!AsEver->can($_), "without tags as ever: no $_") for qw(O_RDWR aio_mkpath);
ok(AsEver->can('aio_open'), 'but aio_open');
ok(!eval { IO::AIO->import(':nothing'); 1 }, 'a tag that there is not');
ok(!eval { IO::AIO->import('O_RDONLY'); 1 }, 'a constant is no name');
{
    my ($manual) = read_file("$FindBin::Bin/../AIO.pm") =~ /^=head1 CONSTANTS\n(.*?)^=head1/ms;
    my %documented = map { $_ => 1 } $manual =~ /\b([A-Z][A-Z0-9_]+)\b/g;
    my @all = grep All->can($_) && /^[A-Z][A-Z0-9]*_/, keys %All::;
    is(join(' ', sort grep !$documented{$_}, @all), '', ':constants has what the manual has');
    cmp_ok(@all, '>', 200, 'which is much');
}

each_engine {
    my $dir = fresh_dir;
    my %flags = (
        '<' => O_RDONLY, '>' => O_WRONLY | O_CREAT | O_TRUNC, '>>' => O_WRONLY | O_CREAT | O_APPEND,
        '+<' => O_RDWR, '+>' => O_RDWR | O_CREAT | O_TRUNC, '+>>' => O_RDWR | O_CREAT | O_APPEND,
    );
    for my $mode (sort keys %flags) {
        for my $there (0, 1) {
            my @got;
            for my $flags ($mode, $flags{$mode}) {
                my $file = "$dir/file";
                unlink $file;
                write_file $file, 'data' if $there;
                my ($errno, $fh) = run_req { aio_open $file, $flags, 0640, $_[0] };
                my $r = ($fh && fcntl $fh, F_GETFL, 0);
                my $wrote = $fh && $flags{$mode} & (O_WRONLY | O_RDWR) ? syswrite $fh, 'XY' : '';
                push @got, join ' ', $fh ? 'open' : errno_name($errno), $r || 0, $wrote, -e $file ? (read_file($file), mode_of($file)) : 'none';
            }
            is($got[0], $got[1], "mode $mode is what its flags are" . ($there ? ', with a file' : ''));
        }
    }
    for my $bad ('<:utf8', '<<', '> ', 'r<', '|<') {
        croaks { aio_open "$dir/file", $bad, 0 } 'aio_open', "mode $bad";
    }
    (undef, my $fh) = run_req { aio_open "$dir/file", '2', 0, $_[0] };
    is(fcntl($fh, F_GETFL, 0) & O_ACCMODE, 2, 'a number as text');
};

done;
