# A service that nobody has heard of: keeps parcels as files, over HTTP.
use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;

mkdir "/srv/$_" for qw(parcels coming);
$SIG{CHLD} = 'IGNORE';
my $door = IO::Socket::INET->new(LocalPort => 8080, Listen => 64, ReuseAddr => 1) or die "no port: $!";
while (my $caller = $door->accept) {
    if (!fork) { $SIG{CHLD} = 'DEFAULT'; serve($caller); exit }
    close $caller;
}

sub serve {
    my ($caller) = @_;
    my ($verb, $path) = split ' ', <$caller> // return;
    my ($length, $body) = (0, '');
    while ((my $line = <$caller>) =~ /\S/) { $length = $1 if $line =~ /^content-length:\s*(\d+)/i }
    read($caller, $body, $length) == $length or return;
    my ($status, $answer) = handle($verb, $path, $body);
    print $caller "HTTP/1.0 $status\r\nContent-Length: " . length($answer) . "\r\n\r\n$answer";
}

sub handle {
    my ($verb, $path, $body) = @_;
    return ('200 OK', scalar `tar -C /srv -c parcels`) if "$verb $path" eq 'GET /export';
    if ("$verb $path" eq 'PUT /import') {
        open my $tar, '|-', 'tar', '-C', '/srv', '-x' or return ('500 No', '');
        print $tar $body;
        return close $tar ? ('204 Taken', '') : ('500 No', '');
    }
    my ($key) = $path =~ m{^/parcels/([\w-]+)$} or return ('404 No', '');
    return keep($key, $body) if $verb eq 'PUT';
    return (unlink "/srv/parcels/$key") ? ('204 Gone', '') : ('404 No', '') if $verb eq 'DELETE';
    open my $file, '<:raw', "/srv/parcels/$key" or return ('404 No', '');
    local $/;
    return ('200 OK', scalar <$file>);
}

sub keep {
    my ($key, $body) = @_;
    open my $file, '>:raw', "/srv/coming/$key" or return ('500 No', '');
    print $file $body;
    $file->flush && $file->sync && close $file or return ('500 No', '');
    return (rename "/srv/coming/$key", "/srv/parcels/$key") ? ('201 Kept', '') : ('500 No', '');
}
