package mime

// Reason says why a header or a sender's address was refused.
type Reason uint8

const (
	_ Reason = iota
	ReasonMissing
	ReasonTwice
	ReasonEmpty
	ReasonSeveral
	ReasonGroup
	ReasonRoute
	ReasonSyntax
	ReasonComment
	ReasonUnterminated
	ReasonEncodedWord
	ReasonHidden
	ReasonEightBit
	ReasonControl
	ReasonLiteral
	ReasonDomain
	ReasonTooLong
	ReasonLookalike
	ReasonSpaceBeforeColon
	ReasonNoColon
	ReasonName
	ReasonBlankFold
	ReasonLineEnd
	ReasonHeaderTooLarge
)

var reasons = [...]struct{ key, text string }{
	ReasonMissing:          {"missing", "the field is missing"},
	ReasonTwice:            {"twice", "the field stands there more than once"},
	ReasonEmpty:            {"empty", "the field has no address"},
	ReasonSeveral:          {"several", "more than one address"},
	ReasonGroup:            {"group", "group syntax is not allowed here"},
	ReasonRoute:            {"route", "an obsolete route in the address"},
	ReasonSyntax:           {"syntax", "not a mail address"},
	ReasonComment:          {"comment", "a comment inside the address"},
	ReasonUnterminated:     {"unterminated", "a quote, comment or bracket that is not closed"},
	ReasonEncodedWord:      {"encoded_word", "a broken or misplaced encoded word"},
	ReasonHidden:           {"hidden", "an address in angle brackets inside quotes or a comment"},
	ReasonEightBit:         {"eight_bit", "letters beyond ASCII where they are not allowed"},
	ReasonControl:          {"control", "a control character"},
	ReasonLiteral:          {"literal", "an address literal instead of a domain"},
	ReasonDomain:           {"domain", "not a valid domain"},
	ReasonTooLong:          {"too_long", "too long"},
	ReasonLookalike:        {"lookalike", "a line that could be taken for this field"},
	ReasonSpaceBeforeColon: {"space_before_colon", "space before the colon of a field"},
	ReasonNoColon:          {"no_colon", "a line without a colon"},
	ReasonName:             {"name", "not a valid name of a field"},
	ReasonBlankFold:        {"blank_fold", "a continuation line of spaces only"},
	ReasonLineEnd:          {"line_end", "a line that does not end in CR LF"},
	ReasonHeaderTooLarge:   {"header_too_large", "the header is too large"},
}

// String returns an English sentence part that may be shown to anyone.
func (r Reason) String() string { return reasons[r].text }

// Key returns a word that stays the same between versions, to look up the sentence in other languages.
func (r Reason) Key() string { return reasons[r].key }

// Error says what is wrong with a header.
type Error struct {
	Field  string // the field meant, as its standard spells it; "" if it is the header as a whole
	Line   int    // of the header, from 1; 0 if no line is to blame
	Reason Reason
}

func (e *Error) Error() string {
	if e.Field == "" {
		return "header: " + e.Reason.String()
	}
	return e.Field + ": " + e.Reason.String()
}
