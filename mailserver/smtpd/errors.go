package smtpd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/postchi/postchi/models"
)

// step is where in the dialogue an error came up: the same kind has other codes at AUTH.
type step int

const (
	stepAuth step = iota
	stepMail
	stepRcpt
	stepData
)

// code is a reply code with its enhanced code (RFC 3463).
type code struct {
	basic    int
	enhanced smtp.EnhancedCode
}

// byKind is what an error of a kind is answered with. Internal and Unavailable are temporary
// everywhere: nobody's mail or password is refused for good because something of ours fails.
var byKind = map[models.Kind]code{
	models.Internal:    {451, smtp.EnhancedCode{4, 3, 0}},
	models.Unavailable: {451, smtp.EnhancedCode{4, 3, 0}},
	models.Invalid:     {554, smtp.EnhancedCode{5, 6, 0}},
	models.NotFound:    {550, smtp.EnhancedCode{5, 1, 1}},
	models.Conflict:    {451, smtp.EnhancedCode{4, 3, 0}},
	models.Denied:      {550, smtp.EnhancedCode{5, 7, 1}},
	models.Suspended:   {550, smtp.EnhancedCode{5, 7, 1}},
	models.Full:        {452, smtp.EnhancedCode{4, 2, 2}},
	models.Limited:     {450, smtp.EnhancedCode{4, 7, 0}},
	models.TooLarge:    {552, smtp.EnhancedCode{5, 3, 4}},
}

// atAuth is the same at AUTH (RFC 4954, section 6).
var atAuth = map[models.Kind]code{
	models.Internal:    {454, smtp.EnhancedCode{4, 7, 0}},
	models.Unavailable: {454, smtp.EnhancedCode{4, 7, 0}},
	models.Conflict:    {454, smtp.EnhancedCode{4, 7, 0}},
	models.Limited:     {454, smtp.EnhancedCode{4, 7, 0}},
	models.Full:        {454, smtp.EnhancedCode{4, 7, 0}},
	models.Denied:      {535, smtp.EnhancedCode{5, 7, 8}},
	models.NotFound:    {535, smtp.EnhancedCode{5, 7, 8}},
	models.Invalid:     {535, smtp.EnhancedCode{5, 7, 8}},
	models.TooLarge:    {535, smtp.EnhancedCode{5, 7, 8}},
	models.Suspended:   {535, smtp.EnhancedCode{5, 7, 13}},
}

// byKey has the errors whose kind says too little.
var byKey = map[string]code{
	"mailbox.full_long":   {552, smtp.EnhancedCode{5, 2, 2}},
	"mailbox.too_small":   {552, smtp.EnhancedCode{5, 2, 2}},
	"recipient.loop":      {554, smtp.EnhancedCode{5, 4, 6}},
	"recipient.too_much":  {550, smtp.EnhancedCode{5, 3, 5}},
	"verify.dns":          {451, smtp.EnhancedCode{4, 4, 3}},
	"filter.later":        {451, smtp.EnhancedCode{4, 7, 1}},
	"recipient.off":       {550, smtp.EnhancedCode{5, 2, 1}},
	"recipient.too_many":  {452, smtp.EnhancedCode{4, 5, 3}},
	"store.full":          {452, smtp.EnhancedCode{4, 3, 1}},
	"mailbox.gone":        {450, smtp.EnhancedCode{4, 2, 1}},
	"smtp.sequence":       {503, smtp.EnhancedCode{5, 5, 1}},
	"smtp.tls_first":      {530, smtp.EnhancedCode{5, 7, 0}},
	"smtp.login_first":    {530, smtp.EnhancedCode{5, 7, 0}},
	"smtp.no_auth":        {503, smtp.EnhancedCode{5, 5, 1}},
	"smtp.mechanism":      {504, smtp.EnhancedCode{5, 5, 4}},
	"smtp.sender_address": {553, smtp.EnhancedCode{5, 7, 1}},
	"smtp.loop":           {554, smtp.EnhancedCode{5, 4, 6}},
	"smtp.panic":          {421, smtp.EnhancedCode{4, 3, 0}},
	"login.malformed":     {501, smtp.EnhancedCode{5, 5, 2}},
	"sasl.malformed":      {501, smtp.EnhancedCode{5, 5, 2}},
	"address.eai":         {553, smtp.EnhancedCode{5, 6, 7}},
}

// codeOf chooses the codes of an error.
func codeOf(e *models.Error, at step) code {
	if c, ok := byKey[e.Key]; ok {
		return c
	}
	switch {
	case strings.HasPrefix(e.Key, "address."):
		return badAddress[at]
	case strings.HasPrefix(e.Key, "limit."): // of sending
		return code{451, smtp.EnhancedCode{4, 7, 1}}
	}
	kinds := byKind
	if at == stepAuth {
		kinds = atAuth
	}
	if c, ok := kinds[e.Kind]; ok {
		return c
	}
	return kinds[models.Internal]
}

// badAddress answers what cannot be parsed (RFC 3463, section 3.2).
var badAddress = map[step]code{
	stepAuth: {535, smtp.EnhancedCode{5, 7, 8}},
	stepMail: {501, smtp.EnhancedCode{5, 1, 7}},
	stepRcpt: {501, smtp.EnhancedCode{5, 1, 3}},
	stepData: {554, smtp.EnhancedCode{5, 6, 0}},
}

// ours is what a client is told of an error that nobody has put into words.
const ours = "A fault of this server, please try again later."

// reply is an answer to a command.
type reply struct {
	code
	text string
}

// replyOf is the one way from an error to an answer. The cause never gets out.
func replyOf(err error, at step) reply {
	e := modelOf(err)
	text := e.Msg
	if text == "" || e.Kind == models.Internal && e.Key == "" {
		text = ours
	}
	return reply{codeOf(e, at), oneLine(text)}
}

// modelOf returns the Error in err's tree; one of kind Internal if there is none.
func modelOf(err error) *models.Error {
	var e *models.Error
	if errors.As(err, &e) {
		return e
	}
	return &models.Error{Kind: models.Internal, Err: err}
}

// maxText is the longest text of a reply: RFC 5321, section 4.5.3.1.5, allows 512 octets for the
// line.
const maxText = 450

// oneLine makes a text fit for a reply: reasons are written by people.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\u0085' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// enhancedText prints the enhanced code.
func (c code) enhancedText() string {
	return fmt.Sprintf("%d.%d.%d", c.enhanced[0], c.enhanced[1], c.enhanced[2])
}

// line prints the reply as it goes over the wire, without its end.
func (r reply) line() string { return fmt.Sprintf("%d %s %s", r.basic, r.enhancedText(), r.text) }

// smtp turns the reply into what go-smtp wants.
func (r reply) smtp() *smtp.SMTPError {
	return &smtp.SMTPError{Code: r.basic, EnhancedCode: r.enhanced, Message: r.text}
}
