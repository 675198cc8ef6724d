package conn

import "net"

// What ends a connection's input besides its deadlines. Each stays: once returned, every
// further read returns it again.
var (
	// ErrSlow is returned by Read when a transfer fell below the minimum rate. It is a
	// net.Error that reports a timeout.
	ErrSlow error = &readError{text: "conn: transfer below the minimum rate", timeout: true}
	// ErrCap is returned by Read when the bytes allowed by Cap are used up.
	ErrCap error = &readError{text: "conn: more input than allowed"}
	// ErrCut is returned by Read in place of io.EOF: the peer has closed the connection.
	// A reader that takes io.EOF for "the message is complete" cannot be fooled by it. It
	// matches net.ErrClosed, which protocol libraries take for an ordinary end.
	ErrCut error = &readError{text: "conn: closed by the peer", closed: true}
)

// readError is a net.Error, and is never temporary: crypto/tls keeps it for later reads.
type readError struct {
	text    string
	timeout bool
	closed  bool
}

// Error implements error.
func (e *readError) Error() string { return e.text }

// Timeout implements net.Error.
func (e *readError) Timeout() bool { return e.timeout }

// Temporary implements net.Error.
func (e *readError) Temporary() bool { return false }

// Is lets ErrCut match net.ErrClosed.
func (e *readError) Is(target error) bool { return e.closed && target == net.ErrClosed }
