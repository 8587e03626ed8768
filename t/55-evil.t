use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use EvilTest;
use Errno qw(EINVAL);
use Test::More;
use IO::AIO;

# Every function, each argument, everything that can stand there (EvilTest): it is refused or taken for what it is, and
# never is anything else used that happens to lie where an argument was. Ties and overloaded operators are asked once.
#
#   prove -b t/55-evil.t :: [function [evil]]     tries one only, in this process

plan skip_all => 'crash: the peer does not survive it' if is_peer;

my ($only, $what) = @ARGV;
my $manual    = read_file("$FindBin::Bin/../AIO.pm");
my @functions = functions($manual);
my @evils     = grep { !defined $what || $_->[0] eq $what } evils();
cmp_ok(@functions, '>', 95, 'functions were found in the manual');
cmp_ok(@evils, '>', 80, 'and what to call them with') unless defined $what;

# Numbers that a request may be given though they do not fit: "the rest", or more than memory goes.
my $clipped = qr/^aio_(?:write|read|writeall|readall|msync|mtouch|mlock|mincore|fiemap|slurp)$/;

# What is wrong after one call; nothing when all is well.
sub wrong {
    my ($name, $code, $parameters, $n, $evil) = @_;
    my ($kind) = (arguments($name, @$parameters))[$n];
    %count = ();
    my (@wrong, @got, $errno);
    my $last = $#$parameters;
    $x[$last] = sub { @got = @_; $errno = $! + 0 } if $n < $last && $parameters->[$last] eq 'callback';

    my $lived = eval {
        local $SIG{__WARN__} = sub { };
        $evil->[1]->($code, $n);
        1;
    };
    my $error = $lived ? '' : $@;
    eval { local $SIG{__WARN__} = sub { }; IO::AIO::flush(); 1 } or push @wrong, "the poll died: $@";
    @x = ();

    push @wrong, IO::AIO::nreqs() . ' requests are left' if IO::AIO::nreqs();
    push @wrong, 'a scalar of somebody else was used' if grep $_ ne 'z' x 100, @junk;
    push @wrong, "died with $error" if !$lived && $error !~ /^evil$|\w.* at \S+ line \d+\.$/;
    my $most = $kind =~ /^(?:filled|scalar|argument|request|group|list|numbers|hash)$/ ? 0 : 1;
    push @wrong, "$count{FETCH} FETCHes" if ($count{FETCH} || 0) > 1 && $evil->[0] !~ /pair/;
    push @wrong, 'no FETCH' if $lived && $evil->[0] =~ /^tied(?!.*(?:undef|pair))/ && $most && !$count{FETCH};
    push @wrong, "$count{call} calls of operators" if ($count{call} || 0) > ($evil->[0] =~ /twice/ ? 2 : 1) && $evil->[0] !~ /itself|undef/;
    push @wrong, 'the code that an operator returns was not called'
        if $lived && $kind eq 'callback' && $evil->[0] eq 'overloaded code' && $name =~ /^aio_/ && ($count{right} || 0) != 1;
    push @wrong, "not refused, but $errno"
        if $lived && $kind eq 'number' && $evil->[0] =~ /2\*\*64$|1e30|inf|nan/ && defined $errno && $errno != EINVAL
        && !($name =~ $clipped && $evil->[0] !~ /nan/);
    return @wrong;
}

# A reference where a number belongs, above all a callback in the place of an argument that was forgotten: the exception
# says so, with the name that the manual gives to the argument.
sub try_references {
    my ($dir) = @_;
    my ($tried, @wrong) = 0;
    chdir $dir or die "$dir: $!";
    EvilTest::set_up();
    for my $function (grep $_->[0] =~ /^aio_/, @functions) {
        my ($name, $code, @parameters) = @$function;
        for my $n (0 .. $#parameters) {
            next if (arguments($name, @parameters))[$n] ne 'number';
            for my $evil (sub { }, []) {
                $x[$n] = $evil;
                my $what = ref $evil eq 'CODE' ? 'code' : 'a reference';
                my $lived = eval { &$code(@x); 1 };
                push @wrong, $lived ? "$name took $what for \$$parameters[$n]" : $@
                    if $lived || $@ !~ /^$name: $parameters[$n] must be a number, not $what: is an argument missing\? at \Q$0\E/;
                $tried++;
            }
        }
        @x = ();
    }
    IO::AIO::flush();
    return [$tried, @wrong];
}

# All that can be done to one function.
sub try_function {
    my ($dir, $name, $code, @parameters) = @_;
    my ($tried, @wrong) = 0;
    chdir $dir or die "$dir: $!";
    EvilTest::set_up();
    my $turn = length $name;
    for my $n (0 .. $#parameters) {
        for my $evil (@evils) {
            next if thinned && $turn++ % 5;
            next if $evil->[0] eq 'the same twice' && !$n;
            next if $name =~ /aio_busy/ && $evil->[0] =~ /2\*\*|1e30/;    # it would wait
            push @wrong, map "\$$parameters[$n] $evil->[0]: $_", wrong($name, $code, \@parameters, $n, $evil);
            $tried++;
            reset_limits if $name =~ /::(?:max|min|idle)_/;
        }
    }
    chmod 0700, $dir;
    chmod 0700, grep -d, names_in $dir if -d $dir;    # or who is not root could not remove them
    return [$tried, @wrong];
}

# One test: whether a sub finds nothing wrong in a process of its own, as that may crash.
sub nothing_wrong {
    my ($name, $code, @arguments) = @_;
    my $dir = fresh_dir;
    my $report = defined $only ? $code->($dir, @arguments) : eval { in_child { $code->($dir, @arguments) } };
    my ($tried, @wrong) = ref $report ? @$report : (0, "$@: try prove -b $0 :: '$name'");
    ok($tried && !@wrong, $name) or diag(map "$_\n", @wrong > 20 ? (@wrong[0 .. 19], '...') : @wrong);
}

nothing_wrong('references in place of numbers', \&try_references) unless defined $only;

each_engine {
    my ($engine) = @_;
    nothing_wrong($_->[0], \&try_function, @$_) for grep defined $only ? $_->[0] eq $only : !thinned || $_->[0] =~ /^aio_/, @functions;
};

done;
