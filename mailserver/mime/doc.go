// Package mime reads a mail message once and answers every later question about it.
//
// It has four uses. Delivery calls Build, which streams a message in one pass and gives a Contents: the envelope, the
// tree of parts with their offsets, a preview and the keys for sorting and threading. IMAP and POP3 decode these bytes
// (DecodeEnvelope, DecodeStructure) and answer FETCH from them without reading the message again. Submission reads the
// header with ReadHeader, edits it leaving all other bytes as they were, and checks the sender with OneMailbox, a parser
// that refuses what two programs might read differently. SEARCH and previews use the decoders of encoded words,
// parameters, charsets and transfer encodings.
//
// Two attitudes live side by side on purpose. Build is tolerant: no sequence of bytes is an error, since a message that
// came must be shown. OneMailbox is strict: it decides who is speaking.
//
// Nothing here grows with the size of a message. Headers are held up to 1 MiB, a window of 128 KiB slides over bodies,
// and what is kept of hostile trees is bounded by the limits below; past a limit the rest of the message becomes one
// opaque part, whose bytes can still be fetched.
package mime

// Version is the version of the envelope and structure encodings. Contents of another version are rebuilt from the
// message when they are read.
const Version = 1

// Limits of Build. Dovecot and Postfix use the same order of size; each has been the remedy of a denial of service.
const (
	// MaxHeaderBlock is the number of bytes of one header block that are looked at. Fields past it are ignored, but the
	// end of the header is still found where it is.
	MaxHeaderBlock = 1 << 20
	// MaxDepth is the number of multipart and message/rfc822 levels that are opened.
	MaxDepth = 100
	// MaxParts is the number of parts in one message.
	MaxParts = 10_000
	// MaxAddresses is the number of addresses kept of the message's own header, and again of all enclosed messages
	// together.
	MaxAddresses = 10_000
	// MaxValue is the number of bytes kept of one unstructured field (Subject, Date, Content-ID, ...).
	MaxValue = 16 << 10
	// MaxParams is the number of parameters kept of one Content-Type or Content-Disposition.
	MaxParams = 100
	// MaxLanguages is the number of tags kept of Content-Language.
	MaxLanguages = 100
	// MaxBoundary is the longest boundary that is honoured; RFC 2046 section 5.1.1 allows 70. A multipart with a longer
	// one is opaque.
	MaxBoundary = 998
	// MaxStructure is the size in bytes past which Contents.Structure is nil.
	MaxStructure = 64 << 10
	// MaxEnvelope is the size in bytes that Contents.Envelope never passes; address lists are cut to fit.
	MaxEnvelope = 256 << 10
	// MaxReferences is the number of message ids kept of References: the first and the latest.
	MaxReferences = 100
	// MaxMessageID is the longest message id that counts; a longer one is ignored.
	MaxMessageID = 998
	// MaxPreview is the length of a preview in characters.
	MaxPreview = 200
)

// maxRetained bounds the memory for what is kept of headers of one message, all parts together, but for addresses.
const maxRetained = 8 << 20
