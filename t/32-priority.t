use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT);
use IO::AIO;

# aioreq_pri and aioreq_nice, and the order in which requests execute and are called back.

each_engine {
    my $dir = fresh_dir;

    # the pending priority
    is(aioreq_pri, 0, 'the default is 0');
    ours {
        aioreq_pri 'NaN';
        is(aioreq_pri(0), 0, 'what is not a number is 0');
    } 'depends on the compiler';
    is(aioreq_pri(3), 0, 'setting gives the one before');
    is(aioreq_pri, 3, 'reading leaves it');
    is(aioreq_pri(-2), 3, 'setting again');
    is(aioreq_pri(0), -2, 'and back');
    for ([5, 4], [4, 4], [100, 4], [-5, -4], [-4, -4], [-100, -4], [1.9, 1], [-1.9, -1], ['2', 2], [2**40, 4], [-2**40, -4], [1e30, 4], [-1e30, -4]) {
        my ($set, $want) = @$_;
        ours {
            aioreq_pri $set;
            is(aioreq_pri, $want, "aioreq_pri $set gives $want");
        } 'cuts large numbers off';
    }
    aioreq_pri 0;
    aioreq_nice 1;
    is(aioreq_pri, -1, 'aioreq_nice lowers');
    aioreq_nice 2;
    is(aioreq_pri, -3, 'adds up');
    aioreq_nice 9;
    is(aioreq_pri, -4, 'to the lowest');
    aioreq_nice(-5);
    is(aioreq_pri, 1, 'and negative raises');
    aioreq_nice(-100);
    is(aioreq_pri, 4, 'to the highest');
    aioreq_nice 0;
    is(aioreq_pri, 4, '0 does nothing');
    ours {
        for ([1e30, -4], [-1e30, 4]) {
            my ($nice, $want) = @$_;
            aioreq_nice $nice;
            is(aioreq_pri, $want, "aioreq_nice $nice gives $want");
        }
    } 'cuts large numbers off';
    aioreq_pri 4;

    # every request uses it up
    my $file = write_file "$dir/file", 'data';
    my $data;
    my %request = (
        nop      => sub { aio_nop },
        stat     => sub { aio_stat $file },
        open     => sub { aio_open $file, O_RDONLY, 0, sub { } },
        group    => sub { aio_group },
        load     => sub { aio_load $file, $data },
        copy     => sub { aio_copy $file, "$dir/copy" },
        move     => sub { aio_move "$dir/copy", "$dir/moved" },
        scandir  => sub { aio_scandir $dir, 0 },
        pathsync => sub { aio_pathsync $file },
        rmtree   => sub { aio_rmtree "$dir/none" },
    );
    for my $name (sort keys %request) {
        aioreq_pri 2;
        $request{$name}->();
        is(aioreq_pri, 0, "after $name it is 0 again");
        IO::AIO::flush;
        is(aioreq_pri, 0, 'and after its callback');
    }
    my @seen;
    aioreq_pri 3;
    aio_nop sub { push @seen, aioreq_pri };
    IO::AIO::flush;
    is("@seen", '0', 'a callback does not inherit it');

    # order of callbacks
    hold;
    my @log;
    for my $n (0 .. 26) {
        my $pri = $n % 9 - 4;
        aioreq_pri $pri;
        aio_nop sub { push @log, [$pri, $n] };
    }
    one_by_one;
    my @want = sort { $b->[0] <=> $a->[0] || $a->[1] <=> $b->[1] } @log;
    is_deeply(\@log, \@want, 'called back by priority, first in first out within one');
    is(scalar @log, 27, 'all of them');

    # order of execution: each writes its letter at the end of a file
    hold;
    write_file $file;
    sysopen my $fh, $file, O_WRONLY | O_APPEND or die "$file: $!";
    my %pri = (a => -4, b => 0, c => 4, d => 0, e => -1, f => 4, g => 1);
    for my $letter (sort keys %pri) {
        aioreq_pri $pri{$letter};
        aio_write $fh, undef, undef, $letter, 0;
    }
    one_by_one;
    is(read_file($file), 'cfgbdea', 'executed by priority, first in first out within one');

    hold;
    write_file $file;
    aio_write $fh, undef, undef, $_, 0 for 'a' .. 'z', 'A' .. 'Z';
    one_by_one;
    is(read_file($file), join('', 'a' .. 'z', 'A' .. 'Z'), 'with one worker, one after the other');
    write_file $file;
    IO::AIO::max_parallel(1);
    aio_write $fh, undef, undef, $_, 0 for 'a' .. 'z', 'A' .. 'Z';
    IO::AIO::flush;
    reset_limits;
    is(read_file($file), join('', 'a' .. 'z', 'A' .. 'Z'), 'also when nothing was held');

    # composites pass it on: of the lowest priority, they come last
    delete @request{qw(nop stat open group)};
    for my $name (sort keys %request) {
        hold;
        @log = ();
        aioreq_pri(-4);
        my $req = $request{$name}->();
        $req->cb(sub { push @log, $name });
        aio_nop sub { push @log, $_[0] } for 1 .. 3;
        one_by_one;
        is($log[-1], $name, "$name at -4 comes after requests that were made later") or diag("@log");
    }
    hold;
    @log = ();
    aio_nop sub { push @log, 'member' };
    aioreq_pri 4;
    my $group = aio_group sub { push @log, 'group' };
    aio_nop sub { push @log, 'nop' };
    add $group aio_nop sub { push @log, 'of the group' };
    one_by_one;
    is("@log", 'member nop of the group group', 'members of a group have their own priority');
};

done;
