package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// The reasons that are ours; those of the other side are its code. Their words are in the
// catalogues under "queue.reason.".
const (
	ReasonDNS       = "dns"       // the DNS did not answer
	ReasonNoDomain  = "no-domain" // the domain does not exist
	ReasonNullMX    = "null-mx"   // the domain takes no mail (RFC 7505)
	ReasonNoHost    = "no-host"   // no host of the domain has an address
	ReasonLoop      = "loop"      // the domain's host is this server
	ReasonPrivate   = "private"   // the host's address is none of the internet
	ReasonConnect   = "connect"   // nothing answers there
	ReasonTimeout   = "timeout"   // something answers, and then nothing more
	ReasonLost      = "lost"      // the other side closed the connection
	ReasonTLS       = "tls"       // TLS is demanded, and failed
	ReasonProtocol  = "protocol"  // the other side does not speak SMTP as it should
	ReasonLogin     = "login"     // the relay did not let us log in
	ReasonMessage   = "message"   // the message cannot be read here
	ReasonRoute     = "route"     // how to send cannot be found out here
	ReasonAbandoned = "abandoned" // the attempt was given up here
	ReasonLiteral   = "literal"   // the destination is an address in brackets
	ReasonSize      = "size"      // larger than the other side takes
)

// fault is why an attempt, or a step of it, came to nothing.
type fault struct {
	status   Status
	code     int
	enhanced string
	text     string
	reason   string
	host     string
	remote   string
	tls      string

	final bool // no other host is to be tried
}

func (f *fault) Error() string { return f.reason + ": " + f.text }

// closed says that the other side has ended the connection, or is about to (RFC 5321, section 3.8).
func (f *fault) closed() bool { return f.reason == ReasonLost || f.code == 421 }

func (f *fault) result() Result {
	return Result{Status: f.status, Code: f.code, Enhanced: f.enhanced, Text: f.text, Reason: f.reason, Host: f.host, Remote: f.remote, TLS: f.tls}
}

// temporary is a fault of ours or of the way.
func temporary(reason, enhanced, format string, args ...any) *fault {
	return &fault{status: Deferred, enhanced: enhanced, reason: reason, text: fmt.Sprintf(format, args...)}
}

// permanent is a fault that will not pass, whatever the host.
func permanent(reason, enhanced, format string, args ...any) *fault {
	return &fault{status: Failed, enhanced: enhanced, reason: reason, text: fmt.Sprintf(format, args...), final: true}
}

// replied is a refusal by the other side.
func replied(r *reply) *fault {
	f := &fault{status: Deferred, code: r.code, enhanced: r.enhanced, text: r.text(), reason: strconv.Itoa(r.code)}
	if r.class() == 5 {
		f.status = Failed
	}
	if f.enhanced != "" {
		f.reason += " " + f.enhanced
	} else {
		f.enhanced = string([]byte{"245"[f.status.class()], '.', '0', '.', '0'})
	}
	return f
}

func (s Status) class() int { return [...]int{1, 0, 2}[s] }

// broken turns an error of the connection into a fault.
func broken(err error, doing string) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return temporary(ReasonAbandoned, "4.4.2", "the attempt was given up while %s", doing)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return temporary(ReasonTimeout, "4.4.2", "no answer in time while %s", doing)
	case errors.Is(err, errBadReply), errors.Is(err, errLongReply):
		return temporary(ReasonProtocol, "4.5.0", "%v while %s", err, doing)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return temporary(ReasonLost, "4.4.2", "the other side closed the connection while %s", doing)
	}
	return temporary(ReasonLost, "4.4.2", "%s while %s", plain(err), doing)
}

// cutShort is a fault that comes from the end of ctx, if that has ended and the other side cannot
// have the message.
func cutShort(ctx context.Context, f *fault) *fault {
	if ctx.Err() == nil || f.final || f.code != 0 {
		return f
	}
	return temporary(ReasonAbandoned, "4.3.0", "the attempt was given up")
}

// unconnected is a connection that did not come about.
func unconnected(err error) *fault {
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return temporary(ReasonConnect, "4.4.1", "the connection was refused")
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return temporary(ReasonConnect, "4.4.1", "there is no way to the address from here")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return temporary(ReasonRoute, "4.3.0", "the address that the message is to be sent from is none of this server")
	case errors.Is(err, context.Canceled):
		return temporary(ReasonAbandoned, "4.4.1", "the attempt was given up while connecting")
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return temporary(ReasonConnect, "4.4.1", "nothing answers at the address")
	}
	return temporary(ReasonConnect, "4.4.1", "%s", plain(err))
}

// unsecured is a TLS handshake that failed.
func unsecured(err error) *fault {
	var certificate *tls.CertificateVerificationError
	var name x509.HostnameError
	switch {
	case errors.As(err, &name):
		return temporary(ReasonTLS, "4.7.5", "the certificate is for another name")
	case errors.As(err, &certificate):
		return temporary(ReasonTLS, "4.7.5", "the certificate is not valid: %s", plain(certificate.Err))
	}
	return temporary(ReasonTLS, "4.7.5", "the TLS handshake failed: %s", plain(err))
}

// plain is an error's text in one line without what only we would understand.
func plain(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	s := strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, err.Error())
	return s[:min(len(s), 200)]
}
