// Package wire is the codec of the IMAP server: it reads commands and writes responses of
// IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) with the extensions the server has.
//
// An Input reads lines and literals from a connection within limits. A Parser walks through
// one command; its first error stays, and every later call does nothing, so that a grammar is
// written down without a check after each word. An Output gathers responses in a pooled buffer
// that is held only while there is something in it.
//
// The package knows nothing of folders or messages. Whatever bytes come, memory is bounded by
// Limits, and nothing but an error comes out of it.
package wire
