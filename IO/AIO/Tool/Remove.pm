package IO::AIO::Tool::Remove;

# rm. What is refused is looked for first in the name and then in what it leads to, so that neither slashes at the end nor a
# link or a mount lead around it.

use strict;
use warnings;

our $VERSION = '5.0';

use IO::AIO::Tool;
use IO::AIO qw(:DEFAULT aio_walk aio_remove);

my @top;    # device and inode of the root directory

sub rm {
    my (@paths) = @_;
    @top = stat '/';
    remove($_) for reverse @paths;
    return;
}

# Why a name is refused, before anything is asked of the system.
sub refused {
    my ($path) = @_;
    return "refused: it is the root directory" if $path =~ m{\A/+\z};
    return 'refused: it is "." or ".."' if $path =~ m{(?:\A|/)\.\.?/*\z};
    return;
}

sub remove {
    my ($path) = @_;
    my $refused = refused($path);
    return job(sub { failed($path, $refused) }) if $refused;
    my $name = $path =~ s{/+\z}{}r;
    job(sub {
        aio_lstat $name, sub {
            if ($_[0]) {
                return if $option{force} && $!{ENOENT} && length $path;
                return failed($path);
            }
            my @stat = lstat _;
            return remove_file($path, $name) unless -d _ ;
            return failed($path, 'refused: it is the root directory') if $stat[0] == $top[0] && $stat[1] == $top[1];
            return failed($path, 'Is a directory (-r removes it)') unless $option{recursive};
            $option{'one-file-system'} ? look_for_mounts($path, $name, $stat[0]) : remove_tree($path, $name);
        };
    });
}

sub remove_file {
    my ($path, $name) = @_;
    if ($path ne $name) {
        $! = 20;    # as for the system: a slash at the end wants a directory
        return failed($path, 'Not a directory');
    }
    aio_unlink $name, sub {
        return if $_[0] && $option{force} && $!{ENOENT};
        return failed($path) if $_[0];
        $count{removed}++;
        removed($path);
    };
}

sub removed {
    my ($path) = @_;
    return object(type => 'removed', path => $path) if $option{json};
    IO::AIO::Tool::out_name($path) if $option{verbose};
}

sub remove_tree {
    my ($path, $name) = @_;
    my $failed = 0;
    my $batch = sub {
        my ($errors, $directories, $others) = @_;
        $count{removed} += $directories + $others;
        $failed++, failed(below($path, $_->[0]), "$_->[3]") for @$errors;
    };
    tree(sub { aio_remove $name, { walk_options(), count => 1 }, $batch, $_[0] }, sub {
        $_[0] < 0 ? failed($path) : $failed || removed($path);
    });
}

# Removes a tree unless another file system is mounted in it.
sub look_for_mounts {
    my ($path, $name, $device) = @_;
    my $mount;
    my $batch = sub { $mount //= (grep $_->[4] && $_->[4][0] != $device, @{ $_[0] })[0] };
    tree(sub { aio_walk $name, { walk_options(), types => 'd', stat => 1 }, $batch, $_[0] }, sub {
        $mount ? failed(below($name, $mount->[0]), "on another file system, so $path is left") : remove_tree($path, $name);
    });
}

1;
